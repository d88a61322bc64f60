"""The soak run: small images wander between two pools while everything goes wrong.

``./run qa soak [--minutes 15] [--images 20] [--seed N]``. Drivers prepare, execute, pause, resume,
cancel and commit migrations at random, clients write to the images all the time, workers and
managers are killed, managers fail over. Every time an image comes to rest its head and its
snapshots are compared, byte for byte, with what they must be.
"""
