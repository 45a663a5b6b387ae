"""Renderings of clouds and their labels."""
