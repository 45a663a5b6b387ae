"""Compiled loops behind the stages: arrays in, arrays out."""
