"""Fill a document's results table from the metrics.json files of evaluations.

The same as `vjepa-tracker table`.
"""

import sys

from tracker.cli.results.table import main

if __name__ == "__main__":
    sys.exit(main())
