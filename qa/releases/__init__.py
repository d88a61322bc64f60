"""Other releases of Ceph than the installed one, each in a chroot with a newer Debian."""
