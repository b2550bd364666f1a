"""Each model family on a small random base: trained, saved, reloaded, evaluated."""
