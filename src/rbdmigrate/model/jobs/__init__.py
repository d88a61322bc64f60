"""Jobs of workers and what workers tell of them: the language between engine and worker.

``acts`` change a migration's images, ``questions`` change nothing, ``answers`` are what comes back,
``protocol`` puts all of them on a pipe.
"""
