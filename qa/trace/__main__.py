"""``python -m qa.trace``."""

import sys

from qa.devcluster import interrupt_on_signals
from qa.trace.cli import main

if __name__ == "__main__":
    interrupt_on_signals()
    sys.exit(main())
