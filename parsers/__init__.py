"""Parsers, one file for each input format: from bytes to blocks of examples."""
