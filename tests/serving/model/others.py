"""Ollama and TGI as they answer at their OpenAI-compatible endpoint, written after their sources.

References:
    https://github.com/ollama/ollama/blob/main/openai/openai.go (`ToChunk`, `ToListCompletion`,
    `NewError`);
    https://github.com/huggingface/text-generation-inference/blob/main/router/src/chat.rs, and
    `GrammarType` of lib.rs.
"""

import dataclasses
import json

from tests.serving.gateway.fakes import count_words, pieces_of

STAMP = 1764547200
UNREADABLE = "Failed to deserialize the JSON body into the target type:"


@dataclasses.dataclass
class Ollama:
    """Its models have a tag, unknown fields are ignored, and no tokens are counted on request.

    Args:
        text: What the model says.
        models: What was pulled.
        has_usage: False for versions that do not know `stream_options`.
    """

    text: str
    models: tuple[str, ...] = ("tuned:latest",)
    has_usage: bool = True
    name: str = "tuned:latest"

    async def __call__(self, request, reply):
        if request.target == "/v1/models":
            models = [
                {"id": name, "object": "model", "created": STAMP, "owned_by": "library"}
                for name in self.models
            ]
            await send(reply, {"object": "list", "data": models or None})  # a nil slice of Go
        elif request.target != "/v1/chat/completions":
            await reply.whole(b"404 page not found", 404, Content_Type="text/plain")
        elif (asked := request.json)["model"] not in self.models:
            message = f"model '{asked['model']}' not found"
            await send(reply, {"error": openai_error(message, "not_found_error")}, 404)
        else:
            await answer(self, asked, reply, {"system_fingerprint": "fp_ollama"})

    def choice(self, piece, finish, is_measured):
        return {"delta": {"role": "assistant", "content": piece}, "finish_reason": finish}


@dataclasses.dataclass
class TGI:
    """It has one model, of any name in requests, counts nothing for conversations, and says null.

    Args:
        text: What the model says.
        has_usage: False for versions that do not know `stream_options`.
        eos: Its word for an answer that came to its end; earlier versions had one of their own.
        error: What it says in a stream in place of an answer; empty for an answer.
    """

    text: str
    has_usage: bool = True
    eos: str = "stop"
    name: str = "acme/tuned"
    error: str = ""

    async def __call__(self, request, reply):
        if request.target == "/v1/models":
            model = {"id": self.name, "object": "model", "created": 0, "owned_by": self.name}
            await send(reply, {"object": "list", "data": [model]})
        elif request.target == "/tokenize":  # of a text in `inputs`, and of nothing else
            text = (
                "Failed to deserialize the JSON body into the target type: missing field `inputs`"
            )
            await reply.whole(text.encode(), 422, Content_Type="text/plain; charset=utf-8")
        elif request.target != "/v1/chat/completions":
            await reply.whole(b"", 404)
        elif "value" not in request.json.get("response_format", {"value": None}):
            text = f"{UNREADABLE} response_format: missing field `value` at line 1 column 180"
            await reply.whole(text.encode(), 422, Content_Type="text/plain; charset=utf-8")
        elif self.error:
            await reply.begin_chunks()
            error = {"message": self.error, "http_status_code": 422}  # whatever it is
            await reply.chunk(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
            await reply.chunk(b"data: [DONE]\n\n")
            await reply.end_chunks()
        else:
            fields = {"id": "", "system_fingerprint": "3.3.6-sha-1a2b3c4"}
            await answer(self, request.json, reply, fields, prefix=b":\n\ndata:")  # kept alive

    def choice(self, piece, finish, is_measured):
        finish = self.eos if finish == "stop" else finish
        token = {"token": piece, "logprob": -0.25, "top_logprobs": []}
        logs = {"content": [token]} if is_measured else None
        delta = {"role": "assistant", "content": piece}
        return {"delta": delta, "logprobs": logs, "finish_reason": finish}


async def answer(engine, asked, reply, fields, prefix=b"data: "):
    """Answer a chat completion, whole or streamed."""
    head = {"id": "chatcmpl-570", "created": STAMP, "model": engine.name, **fields}
    prompt = count_words([message["content"] for message in asked["messages"]])
    usage = {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}
    is_measured = asked.get("logprobs", False)
    if not asked.get("stream"):
        choice = engine.choice(engine.text, "stop", is_measured)
        choice = {"index": 0, "message": choice.pop("delta"), **choice}
        usage = {"usage": usage} if engine.has_usage else {}
        await send(reply, {**head, "object": "chat.completion", "choices": [choice], **usage})
        return
    await reply.begin_chunks()

    async def event(choices, **more):
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        await reply.chunk(prefix + json.dumps(chunk).encode() + b"\n\n")

    for piece in pieces_of(engine.text):
        await event([{"index": 0, **engine.choice(piece, None, is_measured)}])
    await event([{"index": 0, **engine.choice("", "stop", is_measured)}])
    if engine.has_usage and asked.get("stream_options", {}).get("include_usage"):
        await event([], usage=usage)
    await reply.chunk(prefix + b"[DONE]\n\n")
    await reply.end_chunks()


def openai_error(message, kind):
    return {"message": message, "type": kind, "param": None, "code": None}


async def send(reply, body, status=200):
    await reply.whole(json.dumps(body).encode(), status)
