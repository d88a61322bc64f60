"""Metrics: which there are, what a change of a record adds, and the text for Prometheus."""
