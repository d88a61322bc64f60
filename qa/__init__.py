"""Quality tools of the project: the development cluster, demos, fault tests, benchmarks."""
