"""``python3 -m qa.upgrade``: see record.py."""

import sys

from qa.upgrade.record import main

if __name__ == "__main__":
    sys.exit(main())
