"""Serves the stand-in for the Gemini API to a configuration that asks for it."""

import contextlib
import os
from collections.abc import Iterator

from pipeline.config import Config

STANDIN_URL_VARIABLE = "UNDERSTUDY_STANDIN_URL"


@contextlib.contextmanager
def standin_if_wanted(config: Config, *, for_application: bool = False) -> Iterator[None]:
    """Serve the stand-in where a `base_url` is to be read from its variable and that is not set.

    Args:
        config: All services of this configuration are looked at.
        for_application: Whether an application asks it, and not the pipeline.
    """
    wanted = f"env:{STANDIN_URL_VARIABLE}"
    urls = {settings.base_url for settings in config.services.values()}
    if wanted not in urls or STANDIN_URL_VARIABLE in os.environ:
        yield
        return
    from standin import application, server

    with application.serve() if for_application else server.serve() as serving:
        os.environ[STANDIN_URL_VARIABLE] = serving.url
        try:
            yield
        finally:
            del os.environ[STANDIN_URL_VARIABLE]
