"""Readers of public data sets, in their release layouts and common preprocessed ones."""
