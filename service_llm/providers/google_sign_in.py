"""Application default credentials of Google Cloud, and what to do when their token expires.

Reference:
    https://github.com/pydantic/pydantic-ai/issues/1186 (expired in a run)
"""

from typing import Any

import google.auth
import google.auth.exceptions

from service_llm.errors import KEPT, AuthenticationError, ServiceLLMError, TransientError

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_MAX_RENEWALS_IN_VAIN = 5


class SignIn:
    """The credentials of one client.

    Attributes:
        credentials: As google-auth has them.

    Raises:
        AuthenticationError: There are none.
    """

    def __init__(self) -> None:
        try:
            self.credentials: Any = google.auth.default(scopes=_SCOPES)[0]
        except google.auth.exceptions.GoogleAuthError as error:
            raise _no_credentials(error) from error
        self._has_served = False
        self._renewals_in_vain = 0

    @property
    def token(self) -> str | None:
        """The current access token; None before the first request, and while it is renewed."""
        token: str | None = self.credentials.token
        return token

    def served(self) -> None:
        """Note that a request was let in."""
        self._has_served, self._renewals_in_vain = True, 0

    def renews(self, token: str | None) -> bool:
        """Tell whether a refused token has expired, and have a new one fetched if so.

        Args:
            token: The token when the request was sent.
        """
        if not self._has_served:
            return False
        if token is None or self.token != token:
            return True  # another request has had it renewed meanwhile
        self._renewals_in_vain += 1
        if self._renewals_in_vain > _MAX_RENEWALS_IN_VAIN:
            return False
        self.credentials.token = None  # google-genai asks for one before the next request
        return True


def translated_sign_in(
    error: google.auth.exceptions.GoogleAuthError,
) -> ServiceLLMError | TransientError:
    """Return the error of this package that an error of google-auth means."""
    if error.retryable or isinstance(error, google.auth.exceptions.TransportError):
        return TransientError(f"Google's sign-in did not answer ({error}).", is_unreachable=True)
    return _no_credentials(error)


def _no_credentials(error: Exception) -> AuthenticationError:
    return AuthenticationError(
        f"Google Cloud's default credentials cannot be used ({error}). Run: gcloud auth "
        f"application-default login, or give the machine a service account. {KEPT}"
    )
