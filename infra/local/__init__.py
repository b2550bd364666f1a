"""The pool of one machine: `graft up`, the demo and the run on real models."""
