"""Whether a copy may run now, and how fast."""
