"""Draw the curves of a training run.

The same as `vjepa-tracker plot`.
"""

import sys

from tracker.cli.results.plot import main

if __name__ == "__main__":
    sys.exit(main())
