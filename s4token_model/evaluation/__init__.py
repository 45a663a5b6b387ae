"""Benchmarks of accuracy on public data sets."""
