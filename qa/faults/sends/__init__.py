"""Deaths inside librbd's calls: a worker is killed just before its n-th message to an OSD.

librbd's prepare, execute, commit and abort are some hundred small writes each. To die before each
of them in turn, the worker gets a library preloaded that counts its messages (``killsend.c``).
ceph-mgr starts its workers with a clean environment, so here the engine runs in a process of our
own (``host``), with the manager's identity, in place of the module, which is disabled meanwhile.
Its workers arm the counter around one act (``worker``). All that is tested is the product's code.
"""
