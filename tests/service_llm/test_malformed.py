"""Where 30 % of the replies are malformed, in every way that the stand-in knows."""

import pytest

from service_llm.client import open_service_llm
from service_llm.settings import ServiceLLMSettings
from standin.faults import MALFORMED
from standin.server import serve
from tests.service_llm.test_batch import Answer, requests

COUNT = 2000


@pytest.mark.slow
def test_replies_are_recovered_and_nothing_invalid_gets_through(tmp_path):
    def answers(server, name):
        settings = ServiceLLMSettings(
            provider="gemini",
            model="stand-in-malformed",
            base_url=server.url,
            requests_per_minute=100_000,
            max_concurrency=16,
        )
        with open_service_llm(
            settings, journal_uri=str(tmp_path / name), component="c", round=1
        ) as llm:
            return {r.request.tag: r for r in llm.map(requests(COUNT))}, llm.usage()

    with serve() as server:
        truth, _ = answers(server, "truth")
    with serve(faults={"malformed": 0.3}) as server:
        found, usage = answers(server, "found")
        struck = server.stats()["faults"]["malformed"]
        assert server.stats()["answered"] == usage.calls == COUNT + struck - unread(found)
    assert len(MALFORMED) >= 10
    assert struck > 0.3 * COUNT
    recovered = [tag for tag, result in found.items() if result.value is not None]
    assert all(found[tag].value == truth[tag].value for tag in recovered)
    assert all(isinstance(found[tag].value, Answer) for tag in recovered)
    assert len(recovered) >= 0.99 * COUNT
    lost = [result for tag, result in found.items() if tag not in set(recovered)]
    assert all(result.error == "bad_output" for result in lost)


def unread(found):
    """Requests whose last reply was malformed, too: they have no good reply beside it."""
    return sum(result.value is None for result in found.values())
