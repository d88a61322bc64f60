"""What front ends ask of the engine about single migrations."""
