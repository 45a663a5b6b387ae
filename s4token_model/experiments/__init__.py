"""The paper's comparisons at a small scale: docs/results.md."""
