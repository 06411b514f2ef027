"""Audits: which data made a model, and which models a piece of data made. Nothing is run, and nothing is changed."""
