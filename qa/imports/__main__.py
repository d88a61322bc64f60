"""``python3 -m qa.imports``."""

import sys

from .cli import main

sys.exit(main())
