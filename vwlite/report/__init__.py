"""What a run says: predictions, figures, estimates."""
