"""Training code. Inference never imports this package."""
