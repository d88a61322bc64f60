"""``python3 -m qa.releases``: see cli.py."""

import sys

from qa.releases.cli import main

if __name__ == "__main__":
    sys.exit(main())
