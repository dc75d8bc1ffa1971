"""vwlite explain: a run over data that says of each prediction why it is what it is."""
