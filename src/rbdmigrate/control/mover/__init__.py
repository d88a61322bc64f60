"""What the mover copies next, in which pieces, and what is complete."""
