"""Driving: a road, whoever watches it, and agents that learn from what they say."""
