"""``python3 -m qa.faults``: see cli.py."""

import sys

from qa.faults.cli import main

if __name__ == "__main__":
    sys.exit(main())
