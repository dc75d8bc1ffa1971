"""Model files, and what learners put into them."""
