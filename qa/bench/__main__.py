"""``python -m qa.bench``."""

import sys

from qa.bench.cli import end_on_signals, main

if __name__ == "__main__":
    end_on_signals()
    sys.exit(main())
