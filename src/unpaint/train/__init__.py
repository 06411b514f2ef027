"""Training of the small world's own models: base model, judge, retrain oracle."""
