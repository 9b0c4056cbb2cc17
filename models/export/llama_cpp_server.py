"""Asks llama.cpp's server about a GGUF file; run as a script, it imports nothing of the project.

It reads a request as JSON from standard input and writes the answer as its last line. The API is
that of https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md.
"""

import json
import sys
import urllib.request
from collections.abc import Sequence
from typing import Any, TypedDict

_ALTERNATIVES = 32  # log probabilities of each step
_CONTEXT_TOKENS = 64  # beyond the longest row


class LlamaCpp:
    """llama.cpp's server with one model, reached over loopback.

    Args:
        file: The GGUF file.
        context_length: Maximum tokens of prompt and response.
    """

    def __init__(self, file: str, context_length: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = file
        params.n_ctx = context_length
        params.n_parallel = 1
        params.use_jinja = True
        # As precise as it can: no half-precision cache, no fused attention.
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._server = xllamacpp.Server(params)  # ends with the object
        self._address = self._server.listening_address

    def tokens(self, text: str) -> list[int]:
        """Tokenize a text, beginning of sequence first; markers in it are read as markers."""
        reply = self._post("/tokenize", content=text, add_special=True, parse_special=True)
        tokens: list[int] = reply["tokens"]
        return tokens

    def prompt(self, message: str) -> str:
        """Format a user's message by the file's chat template."""
        messages = [{"role": "user", "content": message}]
        return str(self._post("/apply-template", messages=messages)["prompt"])

    def next_token(self, tokens: Sequence[int]) -> list[tuple[int, float]] | None:
        """Return the likeliest tokens after others, with their log probabilities.

        The server says nothing of a token that ends the turn (None is returned) or that is a part
        of a character (an empty list).
        """
        reply = self._post(
            "/completion",
            prompt=list(tokens),
            n_predict=1,
            temperature=0,
            n_probs=_ALTERNATIVES,
            cache_prompt=True,
        )
        if reply["stop_type"] == "eos":
            return None
        steps = reply.get("completion_probabilities", ())
        return [(top["id"], top["logprob"]) for step in steps for top in step["top_logprobs"]]

    def chat(self, message: str, max_tokens: int) -> str:
        """Return the greedy response to a user's message."""
        reply = self._post(
            "/v1/chat/completions",
            messages=[{"role": "user", "content": message}],
            max_tokens=max_tokens,
            temperature=0,
        )
        return str(reply["choices"][0]["message"]["content"])

    def _post(self, path: str, **body: object) -> dict[str, Any]:
        request = urllib.request.Request(
            self._address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            values: dict[str, Any] = json.load(reply)
        return values


class Request(TypedDict):
    """What is asked."""

    file: str
    fixed: list[tuple[str, str]]  # a message and its formatted prompt
    rows: list[tuple[list[int], list[int]]]  # a prompt's tokens and those that follow


def answer(request: Request) -> dict[str, list[object]]:
    """Ask about prompts and continuations.

    Returns:
        `tokens` of each formatted prompt, `prompts` as the chat template writes them, and `steps`:
        for each row and each token that follows what `next_token` says at its place.
    """
    longest = max(len(start) + len(end) for start, end in request["rows"])
    server = LlamaCpp(request["file"], longest + _CONTEXT_TOKENS)
    return {
        "tokens": [server.tokens(formatted) for _, formatted in request["fixed"]],
        "prompts": [server.prompt(message) for message, _ in request["fixed"]],
        "steps": [
            [server.next_token([*start, *end[:place]]) for place in range(len(end))]
            for start, end in request["rows"]
        ],
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(answer(json.load(sys.stdin))) + "\n")
