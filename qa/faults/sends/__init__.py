"""Deaths inside librbd's calls: a worker is killed just before its n-th message to an OSD.

librbd's prepare, execute, commit and abort consist of some hundred small writes each. To die before
each of them in turn, the worker gets a preloaded library that counts its messages (``killsend.c``).
ceph-mgr starts its workers with a clean environment, so here the engine runs in a process of its
own (``host``), with the manager's identity, in place of the module, which is disabled during these
cases. Its workers arm the counter around one act (``worker``). All other code is the product's.
"""
