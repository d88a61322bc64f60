"""``python -m qa.bench``."""

import sys

from qa.bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
