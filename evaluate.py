"""Score trackers on a TAP-Vid benchmark.

The same as `vjepa-tracker evaluate`.
"""

import sys

from tracker.cli.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
