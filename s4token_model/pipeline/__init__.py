"""The stages of the paper's Fig. 1, one per file, in the order in which segmenter.py calls them."""
