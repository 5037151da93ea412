"""Train the tracker's head on clips with true tracks.

The same as `vjepa-tracker train`.
"""

import sys

from tracker.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
