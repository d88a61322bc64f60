"""Images with known content, and clients that use them while they migrate.

Used by the tests and by the soak run.
"""
