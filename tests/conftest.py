"""What all tests share: a browser, limiters of their own, and the folder of converted models."""

from pathlib import Path

import pytest

from tests.browser import Browser, installed


def pytest_configure():
    """In a new clone it is missing: tests that run in a folder of their own have a link to it."""
    (Path(__file__).parents[1] / ".cache").mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def no_service_known(monkeypatch):
    """What a limiter learned of a test's server says nothing of the next one at the same port."""
    monkeypatch.setattr("components.service_llm.limiter._limiters", {})


@pytest.fixture
def browser():
    """A headless Chromium; see `tests.browser.Browser`."""
    paths = installed()
    if not paths:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium-driver")
    with Browser(*paths) as opened:
        yield opened
