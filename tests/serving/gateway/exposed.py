"""A gateway to which everything happened of which a metric tells, and its metrics as scraped."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)


def meet_everything(servers, healthy=1, edited=1):
    """Requests of both protocols, an edited instruction, an outage, and one of both servers.

    Args:
        servers: Not yet started.
        healthy: Requests of the task before its instruction is edited.
        edited: Requests with another instruction.
    """
    breakers = {"failures_to_open": 2, "wait_seconds": 60, "jitter": 0}
    servers.start(servers.settings(breakers=breakers))
    with httpx.Client(base_url=servers.url) as client:
        for system in [INSTRUCTION] * healthy + ["New text."] * edited:
            client.post(GEMINI_PATH, json=gemini_request(system=system))
        client.post("/v1/chat/completions", json=openai_request())
        servers.service.behavior = fakes.unavailable
        for _ in range(3):
            client.post(GEMINI_PATH, json=gemini_request())
        servers.model.behavior = fakes.unavailable
        client.post(GEMINI_PATH, json=gemini_request())
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    servers.took(healthy + edited + 5)


def families(servers):
    """The metrics at `/understudy/metrics`, read as Prometheus reads them."""
    return list(text_string_to_metric_families(httpx.get(f"{servers.url}/understudy/metrics").text))
