"""Sphinx configuration; `./run test -e docs` builds with it."""

project = "rbd_migration"
author = "the rbd_migration authors"
project_copyright = "the rbd_migration authors; LGPL-2.1-or-later"
version = release = "0.1.0"

exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Live migration of RBD images", "page_width": "70em"}
html_show_sourcelink = False
highlight_language = "none"
