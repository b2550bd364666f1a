"""The parts of `benchmarks.pool_chaos`: hosts, servers, faults, a client, a checker."""
