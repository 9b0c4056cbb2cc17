"""Serves the stand-in for the Gemini API while a configuration that asks for it is used."""

import contextlib
import os
from collections.abc import Iterator

from pipeline.config import Config

STANDIN_URL_VARIABLE = "UNDERSTUDY_STANDIN_URL"


@contextlib.contextmanager
def standin_if_wanted(config: Config) -> Iterator[None]:
    """Serve the stand-in where a `base_url` is to be read from its variable and that is not set.

    Args:
        config: All services of this configuration are looked at.
    """
    wanted = f"env:{STANDIN_URL_VARIABLE}"
    urls = {settings.base_url for settings in config.services.values()}
    if wanted not in urls or STANDIN_URL_VARIABLE in os.environ:
        yield
        return
    from standin.server import serve

    with serve() as server:
        os.environ[STANDIN_URL_VARIABLE] = server.url
        try:
            yield
        finally:
            del os.environ[STANDIN_URL_VARIABLE]
