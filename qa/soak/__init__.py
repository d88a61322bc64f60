"""The soak run: small images move between two pools while faults happen all the time.

``./run qa soak [--minutes 15] [--images 20] [--seed N]``. Drivers prepare, execute, pause, resume,
cancel and commit migrations at random, clients write to the images all the time, workers and
managers are killed, managers fail over. Half of the cutovers by the method warm, and some ways
back, ask a hook to stop the client; it says no, later or nothing at times. Whenever an image is not
migrated its head and its snapshots are compared, byte for byte, with the expected content.
"""
