"""Offline benchmarks and pictures. Inference never imports this package."""
