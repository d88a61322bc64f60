"""Plans: named sets of migrations with a shared policy."""
