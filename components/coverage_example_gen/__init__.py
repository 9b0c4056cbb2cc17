"""Reads the coverage dataset: pairs of prompt and reference, written by hand."""
