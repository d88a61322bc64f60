"""Random images are migrated and compared, byte by byte, with a model kept in memory.

An image gets random writes, discards, snapshots (created, removed, rolled back to) and resizes,
each of which is also applied to the model. It is then migrated to its commit while OSDs trim
removed snapshots normally, slowly, or not at all for a while. The head and every snapshot of the
target have to equal the model.

``./run qa model --warm`` moves them by the method warm instead, while a client uses every operation
on the image and workers are killed in their acts.
"""

import sys

from qa.devcluster.layout import REPOSITORY

_LIBRARY = str(REPOSITORY / "src")
if _LIBRARY not in sys.path:
    sys.path.append(_LIBRARY)
