"""Something to migrate: images with known content, and clients that use them meanwhile.

Used by the tests and by the soak run.
"""
