"""What `benchmarks.dashboard_scale` is made of: a filled pool, a browser, viewers, and the peer."""
