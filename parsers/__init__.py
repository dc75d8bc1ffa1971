"""Formats: one file each, from bytes to blocks of examples."""
