"""The page of all packages and files, ``doc/design/packages.rst``, made from their docstrings."""
