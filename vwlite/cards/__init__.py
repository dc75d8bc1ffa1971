"""What a model says of itself: `vwlite inspect`."""
