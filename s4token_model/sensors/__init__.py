"""Simulated cameras and LiDARs that scan procedural scenes."""
