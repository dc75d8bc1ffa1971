"""What all tests share."""

import os

from hypothesis import settings

# No time limit for an example, because machines are busy at times; in CI always the same examples.
settings.register_profile("vwlite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("vwlite")
