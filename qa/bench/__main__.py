"""``python -m qa.bench``."""

import sys

from qa.bench.cli import main
from qa.devcluster import interrupt_on_signals

if __name__ == "__main__":
    interrupt_on_signals()
    sys.exit(main())
