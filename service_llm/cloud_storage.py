"""The client of Cloud Storage, and what its errors mean."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import google.auth.exceptions
from google.api_core.exceptions import GoogleAPIError, RetryError, ServerError, TooManyRequests
from google.cloud import storage
from google.resumable_media import DataCorruption
from requests import ConnectionError as NoConnectionError
from requests import RequestException, Timeout
from requests.exceptions import ChunkedEncodingError

from core.errors import OutageError, UserError
from service_llm.google_sign_in import no_credentials
from service_llm.proxies import proxy_for

_OUTAGES = (
    google.auth.exceptions.TransportError,
    ChunkedEncodingError,  # the connection broke off in the middle of an object
    NoConnectionError,
    RetryError,
    ServerError,
    Timeout,
    TooManyRequests,
)


def open_storage(project: str | None = None, credentials: Any = None) -> storage.Client:
    """Return a client.

    Args:
        project: Google Cloud project; None for the default one.
        credentials: Google credentials; None for the application's default.

    Raises:
        UserError: The proxy to Cloud Storage cannot be used.
    """
    client = storage.Client(project=project, credentials=credentials)
    proxy_for(client.api_endpoint)  # the client's own error says neither the variable nor a remedy
    return client


@contextlib.contextmanager
def explained_errors(what: str, shown: Callable[[str], str] = str) -> Iterator[None]:
    """Errors of the client inside come out as errors with a remedy.

    Args:
        what: What is kept in the bucket, as the subject of a sentence.
        shown: Takes out of a text what must not be shown.

    Raises:
        UserError: The bucket does not exist, or may not be used.
        AuthenticationError: The credentials are missing, or have expired.
        OutageError: Cloud Storage does not answer now, or not with what it holds.
    """
    try:
        yield
    except DataCorruption as error:
        raise OutageError(
            f"{what} was damaged on its way over the network ({_said(error, shown)}). Run the same "
            "command again."
        ) from error
    except _OUTAGES as error:
        raise OutageError(
            f"{what} cannot be reached now ({_said(error, shown)}). Check the network, and run the "
            "same command again."
        ) from error
    except google.auth.exceptions.GoogleAuthError as error:
        if error.retryable:
            raise OutageError(
                f"{what} cannot be reached now: Google's sign-in did not answer "
                f"({_said(error, shown)}). Run the same command again."
            ) from error
        raise no_credentials(error) from error
    except (GoogleAPIError, RequestException) as error:
        raise UserError(
            f"{what} cannot be used ({_said(error, shown)}). Check that the bucket exists, and "
            "that the account has the role Storage Object User on it."
        ) from error


def _said(error: Exception, shown: Callable[[str], str]) -> str:
    return shown(" ".join(str(error).split()))
