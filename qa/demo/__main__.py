"""``python3 -m qa.demo``: see cli.py."""

import sys

from qa.demo.cli import main

sys.exit(main())
