"""Writes a trained model in each format, loads it again and compares it."""
