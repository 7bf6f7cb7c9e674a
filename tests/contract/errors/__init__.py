"""Errors as a set: the real command in a small world of its own, and what it says when that world is bad."""
