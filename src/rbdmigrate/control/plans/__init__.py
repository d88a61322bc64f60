"""Plan files: parsing, selecting images, waves. Pure."""
