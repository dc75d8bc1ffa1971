"""Policies at play in bandit problems whose truth is known, and in logs."""
