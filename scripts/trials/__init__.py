"""Standing trials of the running node: a long run, a hostile peer, signals; see docs/reliability.md."""
