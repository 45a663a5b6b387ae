"""`make results`: the paper's comparisons at a small scale, resumable, written as docs/results.md."""
