"""Hooks: those that are registered, the messages to them, and the threads that send these."""
