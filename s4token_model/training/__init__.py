"""Training of tokenizers, with and without labels, and of the embedded default model."""
