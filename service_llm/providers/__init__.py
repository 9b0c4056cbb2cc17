"""Clients of the services: one registry entry adds a provider."""
