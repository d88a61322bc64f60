"""Lists of disks: what a folder, a web page, a bucket or a manifest names."""
