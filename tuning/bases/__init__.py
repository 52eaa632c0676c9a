"""Base models: how they are imported, quantized, measured, and loaded as they serve."""
