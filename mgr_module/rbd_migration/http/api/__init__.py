"""The REST API, the same for the dashboard and for the module's own server."""
