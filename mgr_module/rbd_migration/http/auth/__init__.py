"""Authentication of requests: API keys, and tokens of the dashboard."""
