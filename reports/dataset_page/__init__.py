"""The page of a synthetic dataset."""
