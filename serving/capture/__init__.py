"""Capture: exchanges of a task as lines of JSON, written without slowing a request."""
