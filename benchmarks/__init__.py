"""Scripts that print figures: ours and the peer's, measured in the same run."""
