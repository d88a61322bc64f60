"""What happens to a migration next, and what a failure means. Pure."""
