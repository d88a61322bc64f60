"""``python3 -m qa.devcluster``: see cli.py."""

import sys

from qa.devcluster.cli import main

sys.exit(main())
