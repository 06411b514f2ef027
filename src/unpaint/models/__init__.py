"""Denoisers: one file per kind of conditioning, behind one protocol."""
