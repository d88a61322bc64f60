"""Observe, decide, act: the loop that brings each migration towards its goal."""
