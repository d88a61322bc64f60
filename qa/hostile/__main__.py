"""``python3 -m qa.hostile``."""

import sys

from .cli import main

sys.exit(main())
