"""Fit a positional template for a backbone.

The same as `vjepa-tracker fit-template`.
"""

import sys

from tracker.cli.fit_template import main

if __name__ == "__main__":
    sys.exit(main())
