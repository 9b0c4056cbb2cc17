"""What goes wrong with a service LLM; each error says what to do."""

from components.errors import UserError

KEPT = "The replies so far are in the journal: run the same command again to go on."


class ServiceLLMError(UserError):
    """The service LLM cannot be used any further; what was answered so far is in the journal."""


class AuthenticationError(ServiceLLMError):
    """The key or the credentials are missing, wrong or not allowed."""


class BadRequestError(ServiceLLMError):
    """The provider does not accept the request; sending it again would not help."""


class QuotaError(ServiceLLMError):
    """The quota is used up, and waiting did not help."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Lower requests_per_minute, raise the quota, or wait. {KEPT}")


class UnreachableError(ServiceLLMError):
    """The endpoint did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message} Check the network and the service LLM's base_url, and that the service "
            f"runs. {KEPT}"
        )


class BudgetError(ServiceLLMError):
    """The budget is spent."""

    def __init__(self, spent_usd: float, budget_usd: float) -> None:
        super().__init__(
            f"The replies cost {spent_usd:.4f} USD so far, and the budget is {budget_usd:.4f} USD. "
            f"Raise service_llm.budget_usd to go on. {KEPT}"
        )


class RefusedError(ServiceLLMError):
    """The provider's safety filter refused an answer that the run cannot do without."""

    def __init__(self) -> None:
        super().__init__(
            "The provider's safety filter refused the request. Look for what it may object to in "
            "the task's instruction and the seeds, or use another model."
        )


class BadOutputError(ServiceLLMError):
    """No attempt brought a readable answer that the run cannot do without."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"No reply to the request could be read ({reason}). Use a model that can reply with "
            "JSON of a schema, or raise its limit of tokens. The journal holds each reply's text."
        )


class TransientError(Exception):
    """Sending the request again may help.

    Attributes:
        wait_seconds: What the provider asked to wait; None where it did not say.
        is_quota: Whether a quota was exceeded.
        is_unreachable: Whether no answer came at all.
    """

    def __init__(
        self,
        message: str,
        *,
        wait_seconds: float | None = None,
        is_quota: bool = False,
        is_unreachable: bool = False,
    ) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        self.is_quota = is_quota
        self.is_unreachable = is_unreachable

    def final(self, attempts: int) -> ServiceLLMError:
        """The error to stop with when no attempt is left."""
        message = f"{self} (sent {attempts} times.)"
        if self.is_quota:
            return QuotaError(message)
        return UnreachableError(message)


_UNAUTHENTICATED, _FORBIDDEN, _QUOTA = 401, 403, 429
_TRANSIENT = {408, 409, 425}  # and what is wrong with the server: 500 and above


def error_of_status(
    status: int,
    message: str,
    *,
    wait_seconds: float | None = None,
    location: str = "elsewhere",
    sign_in: str = "Check the API key and what it is allowed to do.",
) -> ServiceLLMError | TransientError:
    """The error that an HTTP status means.

    Args:
        status: Of the response.
        message: What the provider said; holds no secret.
        wait_seconds: What the provider asked to wait; None where it did not say.
        location: Where a redirect leads.
        sign_in: What to do where the provider does not let the caller in.
    """
    if status in (_UNAUTHENTICATED, _FORBIDDEN):
        return AuthenticationError(f"{message} {sign_in} {KEPT}")
    if status in _TRANSIENT | {_QUOTA} or status >= 500:
        return TransientError(message, wait_seconds=wait_seconds, is_quota=status == _QUOTA)
    if 300 <= status < 400:
        advice = (
            f"The endpoint redirects to {location}; nothing is sent but to the configured one. "
            "Set base_url to where it should go."
        )
    else:
        advice = "Check the model's name and the settings of the service LLM."
    return BadRequestError(f"{message} {advice} {KEPT}")
