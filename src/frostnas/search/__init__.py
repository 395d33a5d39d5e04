"""Stages 1 and 2: spaces, supernets, strategies."""
