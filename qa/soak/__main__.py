"""``python3 -m qa.soak``."""

import sys

from .cli import main

sys.exit(main())
