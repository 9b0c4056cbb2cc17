"""Rehearses an outage: every fault, real clients, coverage prompts."""
