"""A gateway in a process of its own that captures: its service's URL and its folder are given."""

import sys

from service_llm.settings import ServiceLLMSettings
from serving.gateway.app import create_app
from serving.gateway.server import listen, make_server, run
from serving.gateway.task import ServedTask
from serving.settings import ServingSettings
from tests.serving.gateway.harness import INSTRUCTION

if __name__ == "__main__":
    service = ServiceLLMSettings(provider="gemini", model="gemini-x", base_url=sys.argv[1])
    settings = ServingSettings(
        service=service,
        sticky_header="x-user",
        capture={"enabled": True, "folder": sys.argv[2]},
        model={"keep_warm_seconds": 0},
    )
    task = ServedTask(
        name="triage", instruction=INSTRUCTION, model="m", round=1, hash="h",
        base_url="http://127.0.0.1:9/v1", api_model="m", context_length=4096,
        max_output_tokens=64, count_tokens=lambda messages: 1,
    )  # fmt: skip
    server = make_server(create_app(settings, [task]))
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    run(server.serve_until_signal(listener))
