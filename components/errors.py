"""The base of every error that a user of the pipeline can cause and mend."""


class UserError(Exception):
    """A message that names what was wrong, the value received, and what to do.

    Runners print it without a traceback and exit with status 2.
    """
