"""What runs around Graft: migrations, containers, and the pool of one machine."""
