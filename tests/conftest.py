"""What all tests share: their order, and a browser."""

import pytest

from tests.browser import Browser, installed


def pytest_collection_modifyitems(items):
    """The slow ones first: with several processes none is left alone with them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def browser():
    """A headless Chromium; see `tests.browser.Browser`."""
    paths = installed()
    if not paths:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium-driver")
    with Browser(*paths) as opened:
        yield opened
