"""`python -m vwlite`, the same as `vwlite`."""

from vwlite.cli import command

if __name__ == "__main__":
    command()
