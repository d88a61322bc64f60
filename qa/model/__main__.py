"""``python3 -m qa.model``."""

import sys

from .cli import main

sys.exit(main())
