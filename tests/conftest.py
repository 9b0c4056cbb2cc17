"""What all tests share: a browser, and the folder of converted models."""

from pathlib import Path

import pytest

from tests.browser import Browser, installed


def pytest_configure():
    """In a new clone it is missing: tests that run in a folder of their own have a link to it."""
    (Path(__file__).parents[1] / ".cache").mkdir(exist_ok=True)


@pytest.fixture
def browser():
    """A headless Chromium; see `tests.browser.Browser`."""
    paths = installed()
    if not paths:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium-driver")
    with Browser(*paths) as opened:
        yield opened
