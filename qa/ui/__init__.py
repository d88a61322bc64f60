"""The web page in a browser, with a test double of the API: ``./run qa ui`` takes screenshots.

The double shows what a real cluster cannot show at once: every state, every hold, hostile names,
10,000 migrations. The page with a real cluster is tested in ``tests/cluster``.
"""
