"""Benchmarks of speed, beside the paper's parts as libraries provide them."""
