"""Counts the tokens of a prompt: our own count, which the server's has to agree with.

References:
    `/apply-template` and `/tokenize` of
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md;
    `/tokenize` of https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import sentencepiece

from core.artifact_files import GENERATION
from core.family import ChatTemplate
from serving.gateway.task import Message
from serving.model.engine import EngineKind

_SENTENCEPIECE_FILE = Path("preset") / "assets" / "tokenizer" / "vocabulary.spm"  # KerasHub's
_TIMEOUT_SECONDS = 1.0
_SILENT_SECONDS = 5.0  # a server that gave no answer is not asked again
_UNKNOWN = 0  # no prompt is too long, and no server read too little of it


def read_chat_template(model_dir: Path) -> ChatTemplate:
    """Return how a model is prompted, as the Trainer wrote it next to the model."""
    return ChatTemplate.from_json((model_dir / GENERATION).read_text(encoding="utf-8"))


class TrainedTokenizer:
    """Counts with the SentencePiece model that the Trainer wrote; asks no server.

    Args:
        model_dir: What a Trainer wrote.
    """

    def __init__(self, model_dir: Path) -> None:
        file = str(model_dir / _SENTENCEPIECE_FILE)
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=file)
        self._template = read_chat_template(model_dir)

    @staticmethod
    def exists(model_dir: Path) -> bool:
        """Whether the model has a SentencePiece model."""
        return (model_dir / _SENTENCEPIECE_FILE).is_file()

    def __call__(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that messages become, the beginning of sequence included."""
        text = self._template.text(
            [{"role": message.role, "content": message.text} for message in messages]
        )
        return len(self._pieces.encode(text)) + 1


class ServerTokenizer:
    """Counts by asking the server, where no trained tokenizer is at hand.

    Args:
        url: Of the server, without `/v1`.
        model: The model's name there.
        kind: Which server it is; `other` has no tokenizer to ask.
        key: Sent as bearer token; None sends none.
    """

    def __init__(self, url: str, model: str, kind: EngineKind, key: str | None = None) -> None:
        self._model = model
        self._kind = kind
        self._silent_until = 0.0
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False
        )

    def __call__(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that messages become; 0 where the server does not tell."""
        if time.monotonic() < self._silent_until:
            return _UNKNOWN
        turns = [{"role": message.role, "content": message.text} for message in messages]
        try:
            if self._kind == "vllm":
                return int(self._ask("/tokenize", model=self._model, messages=turns)["count"])
            if self._kind == "llama.cpp":
                prompt = self._ask("/apply-template", messages=turns)["prompt"]
                read = self._ask("/tokenize", content=prompt, add_special=True, parse_special=True)
                return len(read["tokens"])
        except httpx.TransportError:  # every prompt would wait for it
            self._silent_until = time.monotonic() + _SILENT_SECONDS
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            pass
        return _UNKNOWN

    def _ask(self, path: str, **body: Any) -> dict[str, Any]:
        values: dict[str, Any] = self._http.post(path, json=body).raise_for_status().json()
        return values
