"""Each alert of Prometheus on a real cluster: what it warns of is made to happen, and undone."""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
