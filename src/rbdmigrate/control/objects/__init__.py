"""Objects and extents of an image, and what copying them costs. Pure."""
