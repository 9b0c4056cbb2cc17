"""The dataset folders of the component's tests."""

from tests.components.coverage_example_gen.conftest import *  # noqa: F403
