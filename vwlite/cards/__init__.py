"""Cards: descriptions of models and entities, for `vwlite inspect`."""
