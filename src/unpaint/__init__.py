"""Unpaint: take a concept out of a text-to-image diffusion model, and show which data did it."""
