"""The tuned model behind `serving.model.url` where that is Ollama or TGI: found and asked."""

import json

import pytest

from core.errors import UserError
from serving.gateway.model_server import ModelFailedError
from serving.gateway.protocols.base import Ask
from serving.gateway.task import Message
from serving.model.engine import Engine, EngineError
from serving.model.host import TunedModels
from tests.serving.conftest import INSTRUCTION, preset_of
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import GEMINI_PATH, gemini_request, harness, openai_request
from tests.serving.model.others import TGI, Ollama, openai_error, send

TEXT = '{"category": "billing", "priority": "low"}'
ENGINES = {
    "ollama": Ollama(TEXT),
    "ollama without usage": Ollama(TEXT, has_usage=False),
    "tgi": TGI(TEXT),
    "tgi without usage": TGI(TEXT, has_usage=False, eos="eos_token"),
}
DOWN = "http://no-such-service.invalid"
CHAT = "/v1/chat/completions"


@pytest.fixture
def other():
    """Another's server and the servers around a gateway; it behaves as it is told."""
    with harness() as servers:
        servers.other = fakes.FakeServer(None, is_service=False)
        servers.run(servers.other.start())
        yield servers
        servers.run(servers.other.stop())


def load(servers, folder, **model):
    """The task behind that server, as `understudy serve` finds it."""
    preset = preset_of(folder, model={"url": f"{servers.other.url}/v1/", **model})

    async def loaded():
        models = TunedModels([preset])
        try:
            return (await models.load(None))[0]
        finally:
            await models.close()

    return servers.run(loaded())


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_it_answers_every_form_of_request_in_an_outage(other, tmp_path, engine):
    other.other.behavior = engine
    task = load(other, tmp_path)
    assert (task.api_model, task.round, task.context_length) == (engine.name, 0, 4096)
    # With a tokenizer of its own, as where the run's folder is on this machine.
    task = task.model_copy(
        update={"count_tokens": lambda said: fakes.count_words([m.text for m in said])}
    )
    other.start(other.settings(base_url=DOWN), [task])
    other.other.received.clear()
    prompt = "word " * 30
    requests = [
        (GEMINI_PATH, gemini_request(prompt, INSTRUCTION)),
        (f"{GEMINI_PATH.replace(':g', ':streamG')}?alt=sse", gemini_request(prompt, INSTRUCTION)),
        (CHAT, openai_request(prompt, INSTRUCTION)),
        (CHAT, openai_request(prompt, INSTRUCTION, stream=True)),
    ]
    for path, body in requests:
        reply = other.post(path, body)
        assert (reply.status_code, reply.headers["x-understudy-served-by"]) == (200, "model"), (
            reply.text
        )
        # What answered is this round, whatever the server calls it.
        assert engine.name not in reply.text
        assert task.model_version in reply.text
    whole, chat = (json.loads(other.post(*requests[n]).content) for n in (0, 2))
    assert whole["candidates"][0]["content"]["parts"][0]["text"] == TEXT
    assert whole["candidates"][0]["finishReason"] == "STOP"
    assert chat["choices"][0]["message"]["content"] == TEXT
    assert chat["choices"][0]["finish_reason"] == "stop"
    assert (chat["usage"]["prompt_tokens"] == 34) == engine.has_usage
    for asked in other.other.received:
        assert asked.target == "/v1/chat/completions"
        assert (asked.json["model"], asked.json["max_tokens"]) == (engine.name, 1024)


SCHEMA = {"type": "object", "properties": {"category": {"type": "string"}}}
WITH_SCHEMA = [
    (
        GEMINI_PATH,
        gemini_request(
            "Hello", INSTRUCTION,
            generationConfig={
                "responseMimeType": "application/json", "responseJsonSchema": SCHEMA,
            },
        ),
    ),
    (
        CHAT,
        openai_request(
            "Hello", INSTRUCTION,
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", ["ollama", "tgi"])
def test_a_schema_is_written_as_the_server_reads_it(other, tmp_path, name):
    """TGI has a `response_format` of its own, and refuses OpenAI's."""
    other.other.behavior = ENGINES[name]
    other.start(other.settings(base_url=DOWN), [load(other, tmp_path)])
    other.other.received.clear()
    for path, body in WITH_SCHEMA * 2:
        reply = other.post(path, body)
        assert (reply.status_code, reply.headers["x-understudy-served-by"]) == (200, "model")
    asked = [request.json["response_format"] for request in other.other.received]
    openai = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA,
                                                     "strict": True}}  # fmt: skip
    own = {"type": "json", "value": SCHEMA}
    # How it is written is found out once.
    assert asked == ([openai] * 4 if name == "ollama" else [openai] + [own] * 4)


def test_another_422_changes_nothing_in_how_a_schema_is_written(other, tmp_path):
    other.other.behavior = ENGINES["ollama"]
    other.start(other.settings(base_url=DOWN), [load(other, tmp_path)])
    other.other.received.clear()

    async def once(request, reply):
        other.other.behavior = ENGINES["ollama"]
        await reply.whole(b'{"detail": "worker restarted"}', 422)

    other.other.behavior = once
    for path, body in WITH_SCHEMA * 2:
        other.post(path, body)
    assert {it.json["response_format"]["type"] for it in other.other.received} == {"json_schema"}


@pytest.mark.parametrize(
    ("schema", "said", "times"),
    [
        (None, "response_format: missing field `value`", 1),
        (SCHEMA, "response_format: missing field `value`", 2),
        (SCHEMA, "Input validation error", 1),
    ],
    ids=["no schema", "schema", "of another field"],
)
def test_what_the_server_cannot_take_in_either_form_is_said(other, schema, said, times):
    async def refuses(request, reply):
        await send(reply, {"error": said, "error_type": "validation"}, 422)

    other.other.behavior = refuses
    task = other.task(base_url=f"{other.other.url}/v1", samples=())
    other.start(other.settings(base_url=DOWN), [task])
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    body = gemini_request(generationConfig=config if schema else {})
    reply = other.post(GEMINI_PATH, body)
    assert (reply.status_code, reply.headers["x-understudy-served-by"]) == (503, "none")
    assert "answered 422" in reply.json()["error"]["message"]
    assert len(other.other.received) == times


@pytest.mark.parametrize(
    ("models", "wanted"),
    [
        ((), r"has the models \(none\)"),
        (("a:latest", "b:1b"), "has the models a:latest, b:1b. Choose"),
    ],
    ids=["none", "several"],
)
def test_a_server_that_does_not_have_one_model_says_which_it_has(other, tmp_path, models, wanted):
    other.other.behavior = Ollama(TEXT, models=models)
    with pytest.raises(UserError, match=wanted):
        load(other, tmp_path)


def test_one_of_several_models_is_chosen_by_its_name(other, tmp_path):
    other.other.behavior = Ollama(TEXT, models=("a:latest", "b:1b"), name="b:1b")
    assert load(other, tmp_path, name="b:1b").api_model == "b:1b"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": 7}', b'{"data": [{}]}', b"null"])
def test_a_list_of_models_that_is_none_is_an_error_of_the_server(other, body):
    async def odd(request, reply):
        await reply.whole(body)

    async def models():
        engine = Engine(other.other.url, "m")
        try:
            return await engine.models()
        finally:
            await engine.close()

    other.other.behavior = odd
    with pytest.raises(EngineError, match="/v1/models"):
        other.run(models())


def test_the_confidence_of_tgis_answers_is_that_of_its_tokens(other, tmp_path):
    other.other.behavior = TGI(TEXT)
    task = load(other, tmp_path).model_copy(
        update={"measures_confidence": True, "min_confidence": -0.2}
    )
    other.start(other.settings(base_url=DOWN), [task])
    reply = other.post(GEMINI_PATH, gemini_request("Hello", INSTRUCTION))
    assert reply.headers["x-understudy-confidence"] == "low"  # -0.25 a token


ERRORS = {
    "ollama, a model that is gone": (
        404, {"error": openai_error("model 'tuned' not found", "not_found_error")}, "not found",
    ),
    "ollama, no memory": (
        500, {"error": openai_error("model requires more system memory", "api_error")}, "memory",
    ),
    "tgi, too long": (
        422,
        {"error": "Input validation error: `inputs` must have less", "error_type": "validation"},
        "Input validation error",
    ),
    "tgi, no room": (
        429, {"error": "Model is overloaded", "error_type": "overloaded"}, "overloaded",
    ),
    "tgi, a failed generation": (
        424,
        {"error": "Request failed during generation", "error_type": "generation"},
        "failed during generation",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "words"), ERRORS.values(), ids=ERRORS)
def test_what_the_server_says_is_wrong_is_in_the_answer(other, status, body, words):
    async def refuses(request, reply):
        await send(reply, body, status)

    other.start(other.settings(base_url=DOWN))
    other.model.behavior = refuses
    reply = other.post(GEMINI_PATH, gemini_request())
    assert reply.status_code == 503
    assert words in reply.json()["error"]["message"]
    assert f"answered {status}" in reply.json()["error"]["message"]


# Ollama writes an error after the first token as a chunk without anything, and ends the stream.
NOTHING = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
TGI_ERROR = {"error": {"message": "Request failed during generation", "http_status_code": 422}}


@pytest.mark.parametrize(
    ("end", "words"), [(NOTHING, "cut off"), (TGI_ERROR, "an error inside")], ids=["ollama", "tgi"]
)
def test_an_answer_that_an_error_ends_is_not_given_as_whole(other, end, words):
    async def fails(request, reply):
        await reply.begin_chunks()
        await reply.chunk(fakes.openai_chunk(TEXT))
        await reply.chunk(b"data:" + json.dumps(end).encode() + b"\n\n")
        await reply.end_chunks()

    other.start(other.settings(base_url=DOWN))
    other.model.behavior = fails
    reply = other.post(CHAT, openai_request())
    assert (reply.status_code, reply.headers["x-understudy-served-by"]) == (503, "none")
    assert words in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("error", "is_of_server", "was_asked"),
    [
        ("Input validation error: `inputs` must have less than 512 tokens", False, True),
        ("Model is overloaded", False, False),
        ("Request failed during generation: CUDA out of memory", True, True),
    ],
    ids=["too long", "no room", "no memory"],
)
def test_what_tgi_says_in_a_stream_counts_for_what_it_is(other, error, is_of_server, was_asked):
    """Prompts that are too long close no way for others, and no room is no wrong answer."""
    other.other.behavior = TGI(TEXT, error=error)
    task = other.task(base_url=f"{other.other.url}/v1", samples=(), output_schema=None)
    breakers = {"failures_to_open": 2, "jitter": 0}
    other.start(other.settings(base_url=DOWN, breakers=breakers), [task])
    for _ in range(2):
        reply = other.post(GEMINI_PATH, gemini_request())
        assert (reply.status_code, reply.headers["x-understudy-served-by"]) == (503, "none")
        assert error in reply.json()["error"]["message"]
    model = other.app._gateway.served.models["triage"]
    assert model.breaker.state == ("open" if is_of_server else "closed")
    if not is_of_server:
        ask = Ask(model="", stream=None, system="", messages=(Message("user", "Hi"),))
        with pytest.raises(ModelFailedError) as failed:
            other.run(model.answer(ask, ask.messages))
        assert failed.value.was_asked == was_asked
