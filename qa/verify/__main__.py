"""``python3 -m qa.verify``."""

import sys

from .cli import main

sys.exit(main())
