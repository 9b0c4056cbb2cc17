from collections.abc import Iterator

import pytest

from tests.serving.gateway.harness import Harness, harness


@pytest.fixture
def servers() -> Iterator[Harness]:
    with harness() as made:
        yield made
