"""Exporter: a blessed model in the formats of other programs."""
