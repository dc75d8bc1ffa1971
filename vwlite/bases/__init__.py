"""What learners derive from."""
