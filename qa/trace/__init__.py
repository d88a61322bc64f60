"""Where the time of migrations goes: ``./run qa trace [IMAGES]``, on a cluster of its own.

A plan of small images runs with the spans of :mod:`rbdmigrate.trace` switched on. The spans of the
manager and of its workers are put together by migration, and summed.
"""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
