"""The HTTP service: models behind HTTP, which learn."""
