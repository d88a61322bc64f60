"""Disks of any format, read by QEMU in a sandboxed process of its own."""
