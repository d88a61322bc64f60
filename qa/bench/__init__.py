"""Benchmarks: ``./run qa bench [NAME ...]``, on a cluster of their own.

What is compared runs in one run, in turn (``rounds``), so that a machine that is busy for a while
slows all of it. The medians, and more so their ratios, are the figures; each is shown beside its
aim. Nothing fails because a figure misses its aim.

A benchmark is a file with a function that takes a ``Rig`` and returns a ``Result``;
``catalogue`` lists them.
"""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
