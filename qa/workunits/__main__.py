"""``python3 -m qa.workunits``: see cli.py."""

import sys

from qa.workunits.cli import main

if __name__ == "__main__":
    sys.exit(main())
