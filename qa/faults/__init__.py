"""Fault tests: kill managers and workers at every place that matters, then look for damage.

``./run qa faults`` runs all of them on a cluster of its own with two managers. Each case makes
images whose every byte is known, starts migrations, lets something be killed, waits until they
have reached their goal by themselves, and then reads raw RADOS objects to see that nothing was
lost, doubled or left behind. What a case meant to hit and did not is reported as "not reached".
"""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
