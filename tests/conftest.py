"""What all tests share: a browser, limiters of their own, and the folder of converted models."""

import logging
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tests.browser import Browser, required
from tests.published import Refusals

# No test asserts on time: where others use the machine, an example takes as long as it takes.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")


_REFUSALS_FOLDER = pytest.StashKey[str]()
_REFUSALS = pytest.StashKey[Refusals]()


def pytest_configure(config):
    """In a new clone it is missing: tests that run in a folder of their own have a link to it."""
    (Path(__file__).parents[1] / ".cache").mkdir(exist_ok=True)
    config.stash[_REFUSALS_FOLDER] = tempfile.mkdtemp(prefix="understudy-refusals-")
    config.stash[_REFUSALS] = Refusals(Path(config.stash[_REFUSALS_FOLDER]))


def pytest_unconfigure(config):
    shutil.rmtree(config.stash[_REFUSALS_FOLDER], ignore_errors=True)


@pytest.fixture(autouse=True)
def requests_are_published(request):
    """Every request is one that the services publish and the stand-in serves.

    A test marked `unpublished` sends another on purpose.
    """
    yield
    are_meant = request.node.get_closest_marker("unpublished") is not None
    if complaint := request.config.stash[_REFUSALS].complaint(are_meant=are_meant):
        pytest.fail(complaint, pytrace=False)


@pytest.fixture(autouse=True)
def libraries_log_warnings_only():
    """Whatever an earlier test's library set: absl sets the level of all loggers with its own."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def no_service_known(monkeypatch):
    """What a limiter learned of a test's server says nothing of the next one at the same port."""
    monkeypatch.setattr("service_llm.pacing.limiter._limiters", {})


@pytest.fixture(scope="session")
def started_browser():
    """A headless Chromium; see `tests.browser.Browser`."""
    with Browser(*required()) as opened:
        yield opened


@pytest.fixture
def browser(started_browser):
    """One that no other test's pages are left in."""
    started_browser.renew()
    return started_browser
