"""The judging tests' service and builders, for the component around them."""

from tests.judging.conftest import *  # noqa: F403
