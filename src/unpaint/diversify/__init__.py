"""Diversification: from a grammar to the prompts of a forget set and a retain set."""
