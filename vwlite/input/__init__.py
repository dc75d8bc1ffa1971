"""From bytes to blocks of parsed lines."""
