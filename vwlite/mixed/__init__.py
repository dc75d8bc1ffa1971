"""Linear and logistic mixed models: all parts of a score estimated at once."""
