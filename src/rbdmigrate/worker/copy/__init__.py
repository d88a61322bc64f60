"""Copying with librbd: estimate, progress, throttle, concurrency."""
