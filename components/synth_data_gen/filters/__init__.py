"""The filters that keep leaks, duplicates and malformed rows out of the training data."""
