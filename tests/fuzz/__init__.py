"""Structured fuzzing of all that reads: `python -m tests.fuzz --seconds 600`, or `make fuzz`."""
