"""People: who acts, what they may do, and how they show who they are."""
