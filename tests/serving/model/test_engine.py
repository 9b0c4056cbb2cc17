"""What is asked of a tuned model's server outside of requests: which it is, and what it holds."""

import asyncio
import json

import pytest

from serving.model.engine import Engine, EngineError
from tests.serving.gateway import fakes

ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "late"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1},
}
# https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
LLAMA_CPP = {"/props": {"default_generation_settings": {"n_ctx": 512}, "total_slots": 4}}
# https://docs.vllm.ai/en/latest/serving/openai_compatible_server
VLLM = {
    "/tokenize": {"count": 1, "max_model_len": 512, "tokens": [1]},
    "/v1/models": {"object": "list", "data": [{"id": "tuned", "max_model_len": 512}]},
}
OTHER = {"/v1/models": {"object": "list", "data": [{"id": "tuned", "object": "model"}]}}


def asked(pages, ask):
    """What `ask` returns of an engine whose server has these pages."""

    async def behave(request, reply):
        found = pages.get(request.target)
        await reply.whole(json.dumps(found or {"error": "none"}).encode(), 200 if found else 404)

    async def run():
        server = fakes.FakeServer(behave, is_service=False)
        await server.start()
        engine = Engine(f"{server.url}/v1/", "tuned")
        try:
            return await ask(engine)
        finally:
            await engine.close()
            await server.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("pages", "kind", "length"),
    [(LLAMA_CPP, "llama.cpp", 512), (VLLM, "vllm", 512), (OTHER, "other", None)],
    ids=["llama.cpp", "vllm", "another"],
)
def test_a_server_is_told_by_its_pages(pages, kind, length):
    async def ask(engine):
        return await engine.kind(), await engine.context_length()

    assert asked(pages, ask) == (kind, length)


def test_an_answer_comes_with_how_it_ended_and_what_was_read():
    found = asked({"/v1/chat/completions": ANSWER}, lambda engine: engine.generate("Is it?", 8))
    assert tuple(found) == ("late", "stop", 7)


def test_a_server_that_read_no_token_is_not_ready():
    nothing = ANSWER | {"usage": {"prompt_tokens": 0, "completion_tokens": 1}}
    with pytest.raises(EngineError, match="processed no token"):
        asked({"/v1/chat/completions": nothing}, lambda engine: engine.check_ready())
    asked({"/v1/chat/completions": ANSWER}, lambda engine: engine.check_ready())
