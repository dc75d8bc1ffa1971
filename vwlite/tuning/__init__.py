"""Tuning: numeric options are searched for that give the lowest loss of examples that were not learned from."""
