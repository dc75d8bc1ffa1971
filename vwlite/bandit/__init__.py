"""Simulation of policies in bandit problems with known rewards, and replay of logs."""
