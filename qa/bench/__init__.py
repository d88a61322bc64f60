"""Benchmarks: ``./run qa bench [NAME ...]``, on a cluster of their own.

Variants that are compared run alternately in one run (``rounds``), so that a busy machine slows all
of them. The medians, and even more their ratios, are the results; each is printed with its aim. A
result that misses its aim is not an error. A benchmark is a file with a function that takes a
``Rig`` and returns a ``Result``; ``catalogue`` lists them.
"""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
