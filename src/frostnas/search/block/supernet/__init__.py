"""The proxy network with every block of the space in every layer, made quick on a CPU."""
