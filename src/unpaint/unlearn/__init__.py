"""The restricted gradient and the methods built on it."""
