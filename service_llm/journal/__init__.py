"""Writes every reply down before it is used, so that none is paid for twice."""
