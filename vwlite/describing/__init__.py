"""Description of data: ``vwlite describe``."""
