"""What all tests share: a browser."""

import pytest

from tests.browser import Browser, installed


@pytest.fixture
def browser():
    """A headless Chromium; see `tests.browser.Browser`."""
    paths = installed()
    if not paths:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium-driver")
    with Browser(*paths) as opened:
        yield opened
