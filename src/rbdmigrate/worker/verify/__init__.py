"""Comparing source and target."""
