"""What happens to a request between HTTP and the brain: types, quotas, faults and counts."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

from standin import embeddings, protocol
from standin.brain import think
from standin.calls import Answer, Call
from standin.errors import Body, HttpError
from standin.faults import DisconnectedError, FaultDice, quota_error, struck
from standin.kept import NEW_JOBS, Kept, read_json
from standin.protocol import Told
from standin.published.google_types import check_google
from standin.published.openai_types import check_openai
from standin.quota import Quota
from standin.refusals import BAD_REQUESTS, write_down
from standin.routes import Route, find_route
from standin.tokens import Tokens

JudgeMode = Literal["normal", "literal"]

_MODEL_PREFIX = "stand-in"
MESSAGES = {
    "generate": "GenerateContentRequest",
    "batch": "BatchGenerateContentRequest",
    "embed": "BatchEmbedContentsRequest",
    "embed one": "EmbedContentRequest",
    "predict": "PredictRequest",
    "new prediction job": "BatchPredictionJob",
}
OPENAI_PATHS = {"generate": "chat/completions", "embed": "embeddings"}


class StandIn:
    """All that a server remembers: limits, dice and counts. Safe to use from many threads.

    Args:
        latency_seconds: Seconds before each answer; a request over the quota is refused at once.
        requests_per_minute: See `Quota`.
        tokens_per_minute: See `Quota`.
        faults: See `FaultDice`.
        judge: `literal` makes the judge obey what stands outside of all blocks.
        batch_seconds: How long a batch job takes.
        token_requests: Requests after which a bearer token of Vertex AI expires; None for never.
        record_file: Every request's body is appended to it as one line of JSON.
    """

    def __init__(
        self,
        *,
        latency_seconds: float = 0.0,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        faults: Mapping[str, float] | None = None,
        judge: JudgeMode = "normal",
        batch_seconds: float = 0.0,
        token_requests: int | None = None,
        record_file: str | Path | None = None,
    ) -> None:
        self._kept = Kept(self._batched, batch_seconds)
        self._tokens = Tokens(token_requests)
        self._latency_seconds = latency_seconds
        self._quota = Quota(requests_per_minute, tokens_per_minute)
        self._dice = FaultDice(faults)
        self._is_literal = judge == "literal"
        self._record: TextIO | None = (
            Path(record_file).open("a", encoding="utf-8")  # noqa: SIM115 - closed by `close`
            if record_file
            else None
        )
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._lock = threading.Lock()

    def stats(self) -> dict[str, Any]:
        """Return what was counted since the start.

        Returns:
            `requests`, `answered`, `quota_errors` (429), `bad_requests` (400 and 404),
            `prompt_tokens` and `output_tokens` of the answered ones, `by_kind` and `faults`.
        """
        names = ("requests", "answered", "quota_errors", "bad_requests")
        with self._lock:
            counts = {name: self._counts[name] for name in names}
            tokens = {name: self._counts[name] for name in ("prompt_tokens", "output_tokens")}
            return {**counts, **tokens, "by_kind": dict(self._kinds), "faults": dict(self._faults)}

    def answer(self, call: Call) -> Answer:
        """Return the response to a request.

        Raises:
            DisconnectedError: By a fault.
        """
        if call.method == "GET" and call.path == "/":
            return Answer(200, {"model": protocol.MODEL_VERSION, "stats": self.stats()})
        route: Route | None = None
        try:
            route = find_route(call.method, call.path)
            return self._routed(route, call)
        except HttpError as error:
            self._count_error(error)
            if route is None or call.method == "POST":  # else what is asked about is gone
                write_down(call.path, error)
            is_openai = route is not None and route.is_openai
            return Answer(
                error.code, error.openai() if is_openai else error.google(), error.headers
            )

    def close(self) -> None:
        """Close the record file."""
        if self._record:
            self._record.close()

    def _routed(self, route: Route, call: Call) -> Answer:
        if route.is_storage or (route.is_vertex and call.method == "GET"):
            self._tokens.check(call.headers)
        if (kept := self._kept.answer(route, call)) is not None:
            return kept
        if route.kind not in NEW_JOBS:  # their requests are noted one by one
            self._note(call.raw)
        body = read_json(call.raw)
        if route.is_vertex:
            self._tokens.check(call.headers)
        if route.is_openai:
            check_openai(OPENAI_PATHS[route.kind], body)
        else:
            check_google(route.api, MESSAGES[route.kind], body)
        if route.kind in NEW_JOBS:
            return Answer(200, self._kept.create(route, body))
        if route.kind in embeddings.KINDS:
            return Answer(200, self._embedded(embeddings.read(route, body)))
        return Answer(200, self._completed(route, body))

    def _batched(self, api: str, model: str, body: Body) -> Body:
        """Return the response to one request of a job."""
        self._note(json.dumps(body).encode())
        try:
            check_google(api, MESSAGES["generate"], body)
            return self._completed(Route("generate", model, api, is_vertex=False), body)
        except HttpError as error:
            self._count_error(error)
            write_down(f"a job for {model}", error)
            raise
        except DisconnectedError as error:
            raise HttpError(500, "INTERNAL", "An internal error has occurred.") from error

    def _count_error(self, error: HttpError) -> None:
        with self._lock:
            self._counts["quota_errors"] += error.code == 429
            self._counts["bad_requests"] += error.code in BAD_REQUESTS

    def _note(self, raw: bytes) -> None:
        with self._lock:
            self._counts["requests"] += 1
            if self._record:
                try:
                    line = json.dumps(json.loads(raw), ensure_ascii=False)
                except ValueError:
                    line = json.dumps({"unreadable": raw.decode("utf-8", "replace")})
                self._record.write(f"{line}\n")
                self._record.flush()

    def _completed(self, route: Route, body: Body) -> Body:
        read = protocol.read_openai if route.is_openai else protocol.read_gemini
        ask = read(body)
        _check_model(str(body["model"]) if route.is_openai else route.name)
        thought = think(ask, is_literal=self._is_literal)
        text, finish = protocol.cut_to(thought.text, ask.max_output_tokens)
        told = Told(text, finish, protocol.count_tokens(ask.prompt), protocol.count_tokens(text))
        self._admit(told.prompt_tokens + told.output_tokens)
        content = json.dumps([route.name, body], sort_keys=True)
        fault, rng = self._dice.draw(hashlib.sha256(content.encode()).hexdigest())
        if fault:
            with self._lock:
                self._faults[fault] += 1
            told = struck(fault, told, rng)
        self._count(thought.kind, told)
        reply = protocol.openai_reply if route.is_openai else protocol.gemini_reply
        return reply(told, is_blocked_prompt=fault == "safety" and rng.random() < 0.5)

    def _embedded(self, embedding: embeddings.Embedding) -> Body:
        """Vectors, under the same quota and latency, without faults."""
        _check_model(embedding.model)
        self._admit(embedding.tokens)
        self._count("embed", Told("", "STOP", embedding.tokens, 0))
        return embeddings.reply(embedding)

    def _admit(self, tokens: int) -> None:
        if wait := self._quota.admit(tokens):
            raise quota_error(wait)  # at once, as real services do
        if self._latency_seconds:
            time.sleep(self._latency_seconds)

    def _count(self, kind: str, told: Told) -> None:
        with self._lock:
            self._counts["answered"] += 1
            self._counts["prompt_tokens"] += told.prompt_tokens
            self._counts["output_tokens"] += told.output_tokens
            self._kinds[kind] += 1


def _check_model(model: str) -> None:
    if not model.startswith(_MODEL_PREFIX):
        raise HttpError(
            404,
            "NOT_FOUND",
            f"There is no model {model!r} here: this is the local stand-in, whose models' names "
            f"start with {_MODEL_PREFIX!r}. Set another base_url for a real model.",
        )
