"""Generates the page of all packages and files, ``doc/design/packages.rst``, from docstrings."""
