"""Offline data: procedural scenes and readers of public data sets. Inference never imports this package."""
