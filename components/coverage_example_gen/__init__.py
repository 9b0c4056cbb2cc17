"""Reads the coverage dataset: pairs of prompt and desired output, written by hand."""
