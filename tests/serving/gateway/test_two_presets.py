"""Two presets in one gateway, each with a model's server of its own."""

import pytest

from serving.model.host import TunedModels
from task.task import Task
from tests.serving.conftest import preset_of
from tests.serving.gateway import fakes
from tests.serving.gateway.faulty import OVERLOADED, status
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    gemini_request,
    openai_request,
)

LETTERS = "Answer the customer with a letter."


def compatible(text: str) -> fakes.Behavior:
    """A server of OpenAI's protocol that serves one model and tells nothing else of itself."""
    streamed = fakes.model(text)

    async def behave(request, reply):
        if request.target == "/v1/models":
            await reply.whole(b'{"data": [{"id": "theirs"}]}')
        elif not fakes.is_openai(request):
            await reply.whole(b"{}", 404)
        elif fakes.is_stream(request):
            await streamed(request, reply)
        else:
            await reply.whole(fakes.openai_body(text))

    return behave


@pytest.fixture
def two_models(servers):
    """The texts of two presets' models, by the instruction of their tasks."""
    made = {}
    for instruction, text in ((INSTRUCTION, "sorted"), (LETTERS, "Dear customer")):
        made[instruction] = fakes.FakeServer(compatible(text), is_service=False)
        servers.run(made[instruction].start())
    yield made
    for server in made.values():
        servers.run(server.stop())


@pytest.mark.parametrize("first", [INSTRUCTION, LETTERS])
def test_each_preset_is_answered_by_the_server_that_it_names(servers, two_models, tmp_path, first):
    names = {INSTRUCTION: "triage", LETTERS: "letters"}
    presets = [
        preset_of(tmp_path, model={"url": f"{server.url}/v1"}).model_copy(
            update={"task": Task(name=names[instruction], instruction=instruction)}
        )
        for instruction, server in two_models.items()
    ]
    if first == LETTERS:
        presets.reverse()
    # Matches whatever the first leaves: the order of the presets is that of the tasks.
    presets[1] = presets[1].model_copy(
        update={"settings": presets[1].settings.model_copy(update={"match": "any"})}
    )
    models = TunedModels(presets)
    tasks = servers.run(models.load(None))
    try:
        assert [task.name for task in tasks] == [preset.task.name for preset in presets]
        servers.start(tasks=list(tasks))
        servers.service.behavior = status(503, OVERLOADED)
        texts = {INSTRUCTION: "sorted", LETTERS: "Dear customer"}
        for instruction, text in texts.items():
            answer = servers.post(GEMINI_PATH, gemini_request(system=instruction))
            body = answer.json()
            assert body["candidates"][0]["content"]["parts"][0]["text"] == text
            assert body["modelVersion"].startswith(f"{names[instruction]}/")
            assert answer.headers["x-understudy-model"] == body["modelVersion"]
        other = servers.post("/v1/chat/completions", openai_request(system="Write a poem."))
        second = next(it for it in texts if it != first)
        assert other.json()["choices"][0]["message"]["content"] == texts[second]
        answered = [(it.task, it.served_by) for it in servers.took(3)]
        assert answered == [("triage", "model"), ("letters", "model"), (names[second], "model")]
    finally:
        servers.stop_gateway()
        servers.run(models.close())
