"""Cutovers of guests: which disks move together, and what a waiting guest may open."""
