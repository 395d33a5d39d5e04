"""Blocks tried: trained alone, scored inside the supernet, and guessed at by a model of all scores."""
