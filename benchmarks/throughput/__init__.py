"""The parts of `benchmarks.pool_throughput`: a pool, hosts whose jobs end at once, plain Celery."""
