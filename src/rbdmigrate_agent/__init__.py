"""rbd-migration-agent: the daemon on a hypervisor's host that moves running guests to a target."""
