"""Data that trains a base model: one module per kind of world."""
