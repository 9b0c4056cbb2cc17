"""Keeps requests within quotas, and slows down when the service says so."""
