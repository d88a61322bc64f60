/* What the two parts of the test guest share. */
#ifndef GUEST_H
#define GUEST_H

#define MOST_DISKS 26

/* The value of a kernel parameter NAME=number; the kernel hands these to us in the environment. */
long parameter(const char *name, long otherwise);

/* Writes to the disks and reads back until the machine ends. Reports on standard output. */
void use_disks(const char *const *paths, int count);

#endif
