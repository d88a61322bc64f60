"""``python3 -m qa.simulate``."""

import sys

from .cli import main

sys.exit(main())
