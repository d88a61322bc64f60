"""The module's own HTTP server."""
