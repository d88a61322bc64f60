"""Hostile files for the method copy: faults in every format, names of other files, and a fuzz.

Each file is looked at, and read if it is accepted, as a worker does it. It has to end in one
sentence or in the bytes that ``qemu-img`` reads, in little time of the processor and little memory,
and no file or host outside of the import policy may be touched, which ``strace`` shows.
"""
