"""Many migrations on the cluster in memory: operations, CPU time and memory of each phase.

``./run qa simulate [IMAGES]``. The managers' code and the workers' is the real one; RADOS, librbd
and the clock are those of ``tests/fakes``. So it tells what grows with the number of images, also
for numbers for which there is no cluster. CPU time includes that of the fakes.
``tests/fakes/many.py`` has the phases. ``--records`` only measures lists and rounds of the loop.
"""
