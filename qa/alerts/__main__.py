"""``python3 -m qa.alerts``."""

import sys

from .cli import main

sys.exit(main())
