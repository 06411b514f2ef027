"""Training of the small world's own models: base model and judge."""
