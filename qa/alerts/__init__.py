"""Each alert of Prometheus on a real cluster: what it warns of is made to happen, and undone."""
