"""`python -m tracker.cli` is `vjepa-tracker`."""

import sys

from tracker.cli.main import main

sys.exit(main())
