"""Service level objectives: from what servers count to what was good, and of how much."""
