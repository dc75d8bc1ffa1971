"""Recommending: items for users, learned from events such as plays or purchases (implicit feedback)."""
