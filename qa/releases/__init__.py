"""Other releases of Ceph than this machine's, each in a chroot with a newer Debian."""
