"""Model files: format, metadata, and how learners save and load their state."""
