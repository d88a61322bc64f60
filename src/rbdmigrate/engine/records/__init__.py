"""What is known of migrations and plans, written through to RADOS."""
