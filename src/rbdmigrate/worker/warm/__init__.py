"""The method warm: rounds of copies while clients use the source, then the cutover."""
