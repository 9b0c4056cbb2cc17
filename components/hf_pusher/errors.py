"""The errors of a push: what went wrong, with which repository, and what to do."""

from core.errors import OutageError, UserError


class PushError(UserError):
    """A push that ended before all repositories and tags were written; a rerun completes it."""


class TokenError(PushError):
    """There is no token, or the Hub does not accept it."""


class PermissionDeniedError(PushError):
    """The token is valid but may not write to the repository."""


class PlanError(PushError):
    """The account's storage or plan is used up."""


class QuotaError(PushError, OutageError):
    """The account's request rate is used up for some minutes."""


class NameTakenError(PushError):
    """The repository exists and holds something that no pipeline pushed."""


class ConflictError(PushError):
    """Someone committed between reading the repository and committing to it."""


class TooLargeError(PushError):
    """The Hub refuses a file or a commit of this size."""


class CardError(PushError):
    """The Hub refuses a field of a card's metadata."""


class UnreachableError(PushError, OutageError):
    """The Hub does not answer, or answers that it is out of order."""
