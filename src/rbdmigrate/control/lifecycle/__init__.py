"""The next step of a migration, and the meaning of failures. Pure."""
