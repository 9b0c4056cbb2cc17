"""The gateway of a drill leaves the data of the real one alone."""

import asyncio

import httpx
import pytest

from serving.drill.gateway import running_gateway
from serving.drill.run import rehearsed
from tests.serving.gateway.harness import GEMINI_PATH, SERVICE_TEXT, gemini_request, harness


@pytest.mark.parametrize("mode", ["shadow", "canary", "model", "private"])
def test_a_drill_captures_nothing_and_its_service_answers_in_every_mode(tmp_path, mode):
    capture = {"enabled": True, "folder": str(tmp_path / "capture")}

    async def rehearse(servers, settings):
        async with (
            running_gateway(
                rehearsed(settings),
                servers.task(),
                service_url=servers.service.url,
                state_dir=tmp_path / "state",
                on_exchange=lambda exchange: None,
            ) as url,
            httpx.AsyncClient(headers={"x-goog-api-key": "k"}) as client,
        ):
            body = gemini_request("My number is +41 44 668 18 00.")
            answer = await client.post(f"{url}{GEMINI_PATH}", json=body)
            status = (await client.get(f"{url}/understudy/status")).json()
        return answer, status

    with harness() as servers:
        settings = servers.settings(mode=mode, canary_percent=100, capture=capture)
        answer, status = asyncio.run(rehearse(servers, settings))
    assert answer.json()["candidates"][0]["content"]["parts"][0]["text"] == SERVICE_TEXT
    assert status["mode"]["mode"] == "failover"
    assert not (tmp_path / "capture").exists()
