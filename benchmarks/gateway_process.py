"""The gateway as `benchmarks.gateway` measures it: a process between a service and no model."""

import sys

from service_llm.settings import ServiceLLMSettings
from serving.gateway.app import create_app
from serving.gateway.server import listen, make_server, run
from serving.gateway.task import ServedTask
from serving.settings import ServingSettings

_INSTRUCTION = "Sort the customer's message."


def main() -> None:
    """Serve until SIGTERM: the service's port and its own are the arguments."""
    service_port, port = int(sys.argv[1]), int(sys.argv[2])
    service = ServiceLLMSettings(
        provider="gemini", model="gemini-x", base_url=f"http://127.0.0.1:{service_port}"
    )
    settings = ServingSettings.model_validate(
        {"service": service, "model": {"keep_warm_seconds": 0}}
    )
    task = ServedTask(
        name="triage",
        instruction=_INSTRUCTION,
        output_schema={"type": "object", "required": ["category"]},
        model="none",
        round=1,
        hash="none",
        base_url="http://127.0.0.1:9/v1",
        api_model="none",
        context_length=4096,
        max_output_tokens=64,
        count_tokens=lambda messages: len(messages[-1].text) // 4,
    )
    server = make_server(create_app(settings, [task]))
    run(server.serve_until_signal(listen("127.0.0.1", port)))


if __name__ == "__main__":
    main()
