"""All that touches Ceph: RADOS clients, image headers, librbd calls, the store, the workers."""
