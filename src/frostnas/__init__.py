"""Quantization-aware neural architecture search for INT8 networks."""

__version__ = "0.1.0"
