"""What all tests share: a browser, limiters of their own, and the folder of converted models."""

import os
from pathlib import Path

import hypothesis
import pytest

from tests.browser import Browser, installed

# No test asserts on time: where others use the machine, an example takes as long as it takes.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")


def pytest_configure():
    """In a new clone it is missing: tests that run in a folder of their own have a link to it."""
    (Path(__file__).parents[1] / ".cache").mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def no_service_known(monkeypatch):
    """What a limiter learned of a test's server says nothing of the next one at the same port."""
    monkeypatch.setattr("service_llm.pacing.limiter._limiters", {})


@pytest.fixture(scope="session")
def started_browser():
    """A headless Chromium; see `tests.browser.Browser`. With CI set, a missing one is a failure."""
    paths = installed()
    if not paths:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("chromium and chromedriver are not installed: apt-get install chromium-driver")
    with Browser(*paths) as opened:
        yield opened


@pytest.fixture
def browser(started_browser):
    """One that no other test's pages are left in."""
    started_browser.renew()
    return started_browser
