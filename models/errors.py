"""The error for everything about a model that a user can mend."""


class ModelError(ValueError):
    """A message that names what was wrong, the value received, and what to do."""
