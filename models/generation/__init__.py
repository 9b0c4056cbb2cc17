"""Batched generation with cached decoding."""
