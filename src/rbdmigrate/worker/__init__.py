"""The worker: a process of its own that makes the librbd calls, so that it can be killed.

librbd offers no way to stop a copy, and some sources crash the process that opens them. A process
ends cleanly by SIGKILL whatever it is in the middle of, and takes nothing of the manager with it.

``main`` runs in the worker; the manager's side of it is ``cluster/worker_process.py``. They speak
JSON lines over the worker's standard input and output (``protocol``).
"""
