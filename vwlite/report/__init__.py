"""The output of a run: predictions, metrics, off-policy estimates."""
