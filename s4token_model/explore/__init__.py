"""The page where one types words: `s4token explore`."""
