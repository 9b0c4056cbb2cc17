"""What goes wrong with a service LLM; each error says what to do."""

from components.errors import UserError

_KEPT = "The replies so far are in the journal: run the same command again to go on."


class ServiceLLMError(UserError):
    """The service LLM cannot be used any further; what was answered so far is in the journal."""


class AuthenticationError(ServiceLLMError):
    """The key or the credentials are missing, wrong or not allowed."""


class BadRequestError(ServiceLLMError):
    """The provider does not accept the request; sending it again would not help."""


class QuotaError(ServiceLLMError):
    """The quota is used up, and waiting did not help."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Lower requests_per_minute, raise the quota, or wait. {_KEPT}")


class UnreachableError(ServiceLLMError):
    """The endpoint did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message} Check the network and the service LLM's base_url, and that the service "
            f"runs. {_KEPT}"
        )


class BudgetError(ServiceLLMError):
    """The budget is spent."""

    def __init__(self, spent_usd: float, budget_usd: float) -> None:
        super().__init__(
            f"The replies cost {spent_usd:.4f} USD so far, and the budget is {budget_usd:.4f} USD. "
            f"Raise service_llm.budget_usd to go on. {_KEPT}"
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
