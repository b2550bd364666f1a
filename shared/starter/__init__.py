"""The made-up bilingual world: its people and tales, training rows and benchmark items."""
