import pytest

from standin.server import serve


@pytest.fixture(scope="session")
def server():
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def literal():
    with serve(judge="literal") as server:
        yield server
