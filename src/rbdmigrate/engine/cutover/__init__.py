"""Cutovers that wait for clients: agents that pause guests, and images that clients close."""
