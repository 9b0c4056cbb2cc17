"""What goes wrong with a service LLM; each error says what to do."""

from core.errors import OutageError, UserError

KEPT = "The replies so far are in the journal: run the same command again to go on."


class ServiceLLMError(UserError):
    """The service LLM cannot be used any further; what was answered so far is in the journal."""


class NotAcceptedError(ServiceLLMError):
    """The provider does not accept a request; sending it again would not help.

    Attributes:
        reason: The provider's own words, where the request itself may be at fault; else empty.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class AuthenticationError(NotAcceptedError):
    """The key or the credentials are missing, wrong or not allowed."""


class BadRequestError(NotAcceptedError):
    """The request, or the model or settings that it is for, is at fault."""


class QuotaError(ServiceLLMError, OutageError):
    """The quota is used up, and waiting did not help."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} Lower requests_per_minute, raise the quota, or wait. {KEPT}")


class UnreachableError(ServiceLLMError, OutageError):
    """The endpoint did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message} Check the network and the service LLM's base_url, and that the service "
            f"runs. {KEPT}"
        )


class CreditError(ServiceLLMError):
    """The account has no money left, so that no waiting helps."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message} The account's credit is used up. Add credit to it, or use another account. "
            f"{KEPT}"
        )


class BudgetError(ServiceLLMError):
    """The budget is spent."""

    def __init__(self, spent_usd: float, budget_usd: float, model: str) -> None:
        super().__init__(
            f"The replies cost {spent_usd:.4f} USD so far, and the budget of {model!r} is "
            f"{budget_usd:.4f} USD. Raise budget_usd in the section of this model to go on. {KEPT}"
        )


class RefusedError(ServiceLLMError):
    """The service refused an answer that the run cannot do without."""

    def __init__(self, reason: str = "") -> None:
        said = f" ({reason})" if reason else ""
        super().__init__(
            f"The service refused the request{said}. Look for what it may object to in the task's "
            "instruction and the seeds, or use another model."
        )


class BadOutputError(ServiceLLMError):
    """No attempt brought a readable answer that the run cannot do without."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"No reply to the request could be read ({reason}). Use a model that can reply with "
            "JSON of a schema, or raise its limit of tokens. The journal holds each reply's text."
        )


class RejectedError(Exception):
    """The service refuses this one request and would refuse it again; others may be answered.

    Its message is the reason, in the service's own words.
    """


class TransientError(Exception):
    """Sending the request again may help.

    Attributes:
        wait_seconds: What the provider asked to wait; None where it did not say.
        is_quota: Whether a quota was exceeded.
        is_overload: Whether the service as a whole has too much to do (503), so that it says
            nothing of the request.
        is_unreachable: Whether no connection came about, or it broke off.
        is_cut: Whether it broke off: the server may have crashed at the request.
        is_adapted: Whether the provider has learned how to send it so that it is accepted: it is
            sent again at once, and this is no failure.
    """

    def __init__(
        self,
        message: str,
        *,
        wait_seconds: float | None = None,
        is_quota: bool = False,
        is_overload: bool = False,
        is_unreachable: bool = False,
        is_cut: bool = False,
        is_adapted: bool = False,
    ) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        self.is_quota = is_quota
        self.is_overload = is_overload
        self.is_unreachable = is_unreachable
        self.is_cut = is_cut
        self.is_adapted = is_adapted

    @property
    def may_be_the_request(self) -> bool:
        """Whether the request itself may be what the service fails at."""
        return not (self.is_quota or self.is_overload or self.is_away)

    @property
    def is_away(self) -> bool:
        """Whether no connection came about."""
        return self.is_unreachable and not self.is_cut

    def final(self, attempts: int, seconds: float = 0.0) -> ServiceLLMError:
        """Return the error to stop with when it is not tried any longer.

        Args:
            attempts: Times the request was sent.
            seconds: For how long the service has not answered.
        """
        minutes = f" in {seconds / 60:.0f} min" if seconds >= 60 else ""
        message = f"{self} (sent {attempts} times{minutes}.)"
        if self.is_quota:
            return QuotaError(message)
        return UnreachableError(message)


_UNAUTHENTICATED, _FORBIDDEN, _QUOTA = 401, 403, 429
_OVERLOADS = {498, 503, 529}  # Groq's flex tier; HTTP's; Anthropic's
# What one prompt may be at fault for. 403: a gateway's content filter, in words of its owner
# (https://github.com/BerriAI/litellm/pull/28418).
_MAY_BE_THE_REQUEST = {400, 403, 422, 451}
# And what is wrong with the server: 500 and above. 424: TGI and Bedrock, where the model fails;
# 498: https://console.groq.com/docs/flex-processing; 499 CANCELLED, documented as the client's, is
# often the server's: https://github.com/googleapis/python-genai/issues/2506
_TRANSIENT = {408, 409, 424, 425, 498, 499}


def error_of_status(
    status: int,
    message: str,
    *,
    wait_seconds: float | None = None,
    location: str = "elsewhere",
    sign_in: str = "Check the API key and what it is allowed to do.",
    advice: str = "Check the model's name and the settings of the service LLM.",
) -> ServiceLLMError | TransientError:
    """Return the error that an HTTP status means.

    Args:
        status: Of the response.
        message: What the provider said; holds no secret.
        wait_seconds: What the provider asked to wait; None where it did not say.
        location: Where a redirect leads.
        sign_in: What to do where the provider does not let the caller in.
        advice: What to do where the request is refused for good.
    """
    reason = message if status in _MAY_BE_THE_REQUEST else ""
    if status in (_UNAUTHENTICATED, _FORBIDDEN):
        return AuthenticationError(f"{message} {sign_in} {KEPT}", reason=reason)
    if status in _TRANSIENT | {_QUOTA} or status >= 500:
        return TransientError(
            message,
            wait_seconds=wait_seconds,
            is_quota=status == _QUOTA,
            is_overload=status in _OVERLOADS,
        )
    if 300 <= status < 400:
        advice = (
            f"The endpoint redirects to {location}; nothing is sent but to the configured one. "
            "Set base_url to where it should go."
        )
    return BadRequestError(f"{message} {advice} {KEPT}", reason=reason)
