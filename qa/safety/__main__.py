"""``python3 -m qa.safety``."""

import sys

from .cli import main

sys.exit(main())
