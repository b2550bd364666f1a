"""What programs may ask of the pool, typed: the REST API and the Python client both speak this."""
