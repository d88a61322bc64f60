"""``python3 -m qa.ui``."""

import sys

from .cli import main

sys.exit(main())
