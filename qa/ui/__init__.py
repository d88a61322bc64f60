"""The web page in a browser, beside a test double of the API: ``./run qa ui`` keeps screenshots.

The double shows what a real cluster cannot show at once: every state, every hold, hostile names,
10,000 migrations. What the page does with a real cluster is tested in ``tests/cluster``.
"""
