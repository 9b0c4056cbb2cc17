"""What happens to a request between HTTP and the brain: latency, quotas, faults and counts."""

import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

from standin import embeddings, protocol
from standin.batches import Batches
from standin.brain import think
from standin.faults import FaultDice, malformed
from standin.protocol import Ask, Body, HttpError, Told
from standin.quota import Quota

JudgeMode = Literal["normal", "literal"]

_GEMINI = re.compile(r"/models/([^/:]+):generateContent$")
_BATCH = re.compile(r"/models/([^/:]+):batchGenerateContent$")
_JOBS = re.compile(r"/(batches)$")
_JOB = re.compile(r"/(batches/[^/:]+)$")
_OPENAI = re.compile(r"/v1/chat/completions$")
_MODEL_PREFIX = "stand-in"
_RANDOM_QUOTA_SECONDS = 1.0  # asked to wait after a `quota` fault


class DisconnectedError(Exception):
    """The connection is to be closed without an answer."""


class StandIn:
    """All that a server remembers: limits, dice and counts. Safe to use from many threads.

    Args:
        latency_seconds: Seconds before each answer; a request over the quota is refused at once.
        requests_per_minute: See `Quota`.
        tokens_per_minute: See `Quota`.
        faults: See `FaultDice`.
        judge: `literal` makes the judge obey what stands outside of all blocks.
        batch_seconds: How long a batch job takes.
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
        record_file: str | Path | None = None,
    ) -> None:
        self._batches = Batches(self.answer, batch_seconds)
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
        """What was counted since the start.

        Returns:
            `requests`, `answered`, `quota_errors` (429), `bad_requests` (400 and 404),
            `prompt_tokens` and `output_tokens` of the answered ones, `by_kind` and `faults`.
        """
        names = ("requests", "answered", "quota_errors", "bad_requests")
        with self._lock:
            counts = {name: self._counts[name] for name in names}
            tokens = {name: self._counts[name] for name in ("prompt_tokens", "output_tokens")}
            return {**counts, **tokens, "by_kind": dict(self._kinds), "faults": dict(self._faults)}

    def look_up(self, path: str) -> tuple[int, Body]:
        """The HTTP status and body that answer a GET: a batch job, all of them, or the counts."""
        try:
            if _JOBS.search(path):
                return 200, self._batches.list()
            if found := _JOB.search(path):
                return 200, self._batches.get(found.group(1))
        except HttpError as error:
            return error.code, protocol.error_body(error)
        return 200, {"model": protocol.MODEL_VERSION, "stats": self.stats()}

    def answer(self, path: str, raw: bytes) -> tuple[int, Body]:
        """The HTTP status and body that answer a request.

        Raises:
            DisconnectedError: By a fault.
        """
        try:
            if batch := _BATCH.search(path):
                return 200, self._batches.create(batch.group(1), _read_json(raw))
            self._note(raw)
            return 200, self._completed(path, raw)
        except HttpError as error:
            with self._lock:
                self._counts["quota_errors"] += error.code == 429
                self._counts["bad_requests"] += error.code in (400, 404)
            return error.code, protocol.error_body(error)

    def close(self) -> None:
        """Close the record file."""
        if self._record:
            self._record.close()

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

    def _completed(self, path: str, raw: bytes) -> Body:
        body = _read_json(raw)
        if embedding := embeddings.read(path, body):
            return self._embedded(embedding)
        model, ask = _read_ask(path, body)
        _check_model(model)
        thought = think(ask, is_literal=self._is_literal)
        text, finish = protocol.cut_to(thought.text, ask.max_output_tokens)
        told = Told(text, finish, protocol.count_tokens(ask.prompt), protocol.count_tokens(text))
        wait = self._quota.admit(told.prompt_tokens + told.output_tokens)
        if wait:
            raise _quota_error(wait)  # at once, as real services do
        if self._latency_seconds:
            time.sleep(self._latency_seconds)
        fault, rng = self._dice.draw(hashlib.sha256(path.encode() + b"\0" + raw).hexdigest())
        if fault:
            with self._lock:
                self._faults[fault] += 1
            told = _struck(fault, told, rng)
        with self._lock:
            self._counts["answered"] += 1
            self._counts["prompt_tokens"] += told.prompt_tokens
            self._counts["output_tokens"] += told.output_tokens
            self._kinds[thought.kind] += 1
        reply = protocol.openai_reply if _OPENAI.search(path) else protocol.gemini_reply
        return reply(told, is_blocked_prompt=fault == "safety" and rng.random() < 0.5)

    def _embedded(self, embedding: embeddings.Embedding) -> Body:
        """Vectors, under the same quota and latency, without faults."""
        _check_model(embedding.model)
        wait = self._quota.admit(embedding.tokens)
        if wait:
            raise _quota_error(wait)
        if self._latency_seconds:
            time.sleep(self._latency_seconds)
        with self._lock:
            self._counts["answered"] += 1
            self._counts["prompt_tokens"] += embedding.tokens
            self._kinds["embed"] += 1
        return embeddings.reply(embedding)


def _check_model(model: str) -> None:
    if not model.startswith(_MODEL_PREFIX):
        raise HttpError(
            404,
            "NOT_FOUND",
            f"There is no model {model!r} here: this is the local stand-in, whose models' names "
            f"start with {_MODEL_PREFIX!r}. Set another base_url for a real model.",
        )


def _read_json(raw: bytes) -> Body:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise protocol.bad_request(f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise protocol.bad_request("The body is not a JSON object.")
    return body


def _read_ask(path: str, body: Body) -> tuple[str, Ask]:
    gemini = _GEMINI.search(path)
    if gemini:
        return gemini.group(1), protocol.read_gemini(body)
    if _OPENAI.search(path):
        return str(body.get("model")), protocol.read_openai(body)
    raise HttpError(
        404,
        "NOT_FOUND",
        "The stand-in serves models/NAME:generateContent, :batchGenerateContent and "
        f":batchEmbedContents, /v1/chat/completions and /v1/embeddings, not {path}.",
    )


def _quota_error(wait_seconds: float) -> HttpError:
    return HttpError(
        429,
        "RESOURCE_EXHAUSTED",
        f"You exceeded your quota for this model. Please retry in {wait_seconds:.3f}s.",
        retry_seconds=wait_seconds,
    )


def _struck(fault: str, told: Told, rng: random.Random) -> Told:
    """The reply as a fault leaves it.

    Raises:
        HttpError: The fault is an error.
        DisconnectedError: The fault is a closed connection.
    """
    if fault == "unavailable":
        raise HttpError(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
    if fault == "internal":
        raise HttpError(500, "INTERNAL", "An internal error has occurred.")
    if fault == "quota":
        raise _quota_error(_RANDOM_QUOTA_SECONDS)
    if fault == "disconnect":
        raise DisconnectedError
    if fault == "safety":
        return told._replace(text="", finish="SAFETY", output_tokens=0)
    if fault == "truncated":
        text, finish = told.text[: rng.randrange(1, len(told.text))], "MAX_TOKENS"
    else:
        text, finish = malformed(told.text, rng), told.finish
    return told._replace(text=text, finish=finish, output_tokens=protocol.count_tokens(text))
