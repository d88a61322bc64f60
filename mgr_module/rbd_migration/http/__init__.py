"""REST: one table of routes, which defines the arguments, the answers and the documentation.

``fields``, ``schemas``, the routes, ``openapi``, ``urls`` and ``page`` are pure and import nothing
from outside this folder: the dashboard loads them, by means of ``dashboard``, into an interpreter
of its own, where the rest of the module is not loaded. ``dispatch`` carries out a request by means
of the commands.
"""
