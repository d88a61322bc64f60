"""The mover: copies a disk with its snapshots to an ordinary image, with many requests at once."""
