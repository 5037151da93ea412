"""Write a trained tracker with other settings, such as the size of the frames it will see.

The same as `vjepa-tracker export`.
"""

import sys

from tracker.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
