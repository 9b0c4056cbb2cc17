"""Rounds on this machine with LocalDagRunner."""
