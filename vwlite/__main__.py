"""`python -m vwlite`, the same as `vwlite`."""

import sys

from vwlite.cli import main

if __name__ == "__main__":
    sys.exit(main())
