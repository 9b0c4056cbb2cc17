"""Reads a coverage dataset and reports every problem in it at once."""
