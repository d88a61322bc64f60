"""REST: one table of routes, from which arguments are checked, answered and documented.

``fields``, ``schemas``, ``routes``, ``openapi``, ``wire`` and ``page`` are pure and import nothing
from outside this folder, because ``dashboard`` and with it the dashboard load them into an
interpreter of their own, where the module itself is not. ``dispatch`` carries out a
request by means of the commands.
"""
