"""Importing external sources."""
