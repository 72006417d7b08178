"""``python -m jobctl``: the command line without its script."""

import sys

from jobctl.cli.entry import main

sys.exit(main())
