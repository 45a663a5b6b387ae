"""Standing fuzz trials: malformed clouds, files, checkpoints, kills and parameter values; `make fuzz` runs them."""
