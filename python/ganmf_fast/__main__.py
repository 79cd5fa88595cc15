"""``python -m ganmf_fast``, which is ``ganmf``: torchrun starts modules."""

import sys

from ganmf_fast.cli import main

if __name__ == "__main__":
    sys.exit(main())
