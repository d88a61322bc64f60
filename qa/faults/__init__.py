"""Fault tests: kill managers and workers at every important point, then look for damage.

``./run qa faults`` runs all of them on a cluster of its own with two managers. Each case makes
images with known content, starts migrations, kills a process, waits until the migrations have
reached their goals without help, and then reads raw RADOS objects to check that nothing was lost,
duplicated or left behind. A case whose fault did not happen is reported as "not reached".
"""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
