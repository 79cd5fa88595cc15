"""Interactions with ids, their files, and public data sets by name."""
