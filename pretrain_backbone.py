"""Pretrain a V-JEPA 2 backbone: predict the features of what is hidden (arXiv 2404.08471).

The same as `vjepa-tracker pretrain`.
"""

import sys

from tracker.cli.pretrain import main

if __name__ == "__main__":
    sys.exit(main())
