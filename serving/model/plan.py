"""Which server a preset's tuned model answers from, and what is known of that model."""

import asyncio
import hashlib
import importlib.util
import os
import re
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.text import Say
from serving.model.engine import Engine, EngineError
from serving.model.gguf import SERVING_DIR, find_gguf
from serving.model.kept_round import KeptRound
from serving.model.llama_cpp import LlamaCppSpec
from serving.model.supervisor import free_port
from serving.model.tokens import read_chat_template
from serving.preset import ServedPreset

_CONTEXT_TOKENS = 256  # llama.cpp's contexts are multiples of it
_MARKER = re.compile(r"<[^<>\s]+>|\[/?[A-Z]+\]")
_ENVIRONMENT = "env:"


class ModelPlan(NamedTuple):
    """A server and its model.

    Attributes:
        engine: The server, which need not run yet.
        digest: SHA-256 that tells the weights apart, in hexadecimal.
        kept: The round; None where no run on this machine says which it is.
        spec: What a server of our own loads; None for another's.
        log: File that a server of our own writes to.
    """

    engine: Engine
    digest: str
    kept: KeptRound | None = None
    spec: LlamaCppSpec | None = None
    log: Path | None = None

    @property
    def turn_markers(self) -> tuple[str, ...]:
        """The control tokens in the chat template that the Trainer wrote with the model."""
        if not self.kept:
            return ()
        template = read_chat_template(self.kept.model_dir)
        if template.markers:
            return template.markers
        # Earlier versions of the Trainer did not name them.
        text = f"{template.prefix} {template.suffix} {template.end}"
        return tuple(dict.fromkeys(_MARKER.findall(text)))


async def plan_model(preset: ServedPreset, round: int | None, say: Say) -> ModelPlan:
    """Find the model of a preset, and export it where no GGUF file of it exists yet.

    Args:
        preset: The preset.
        round: The round; None for the best one.
        say: Takes what a person is to know before an export.

    Raises:
        UserError: There is no such round, or its model cannot be used.
    """
    if preset.settings.model.url:
        return await _other_server(preset, round)
    if importlib.util.find_spec("xllamacpp") is None:
        raise UserError(
            "llama.cpp's server (the package xllamacpp) is not installed here. Run pip install "
            "'.[model]', or name an OpenAI-compatible server in serving.model.url."
        )
    kept = KeptRound.find(preset.output_dir, round)
    # Reads the whole file, or exports it.
    gguf = await asyncio.to_thread(find_gguf, kept, preset.output_dir, say)
    spec = LlamaCppSpec(
        gguf=gguf.path.resolve(),
        alias=preset.task.name,
        port=free_port(),
        context_length=context_length(kept),
        slots=preset.settings.model.slots,
    )
    log = preset.output_dir / SERVING_DIR / f"model-round-{kept.round}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    engine = Engine(f"http://127.0.0.1:{spec.port}", spec.alias)
    return ModelPlan(engine, gguf.sha256, kept, spec, log)


async def _other_server(preset: ServedPreset, round: int | None) -> ModelPlan:
    settings = preset.settings.model
    url = from_environment(settings.url or "", "serving.model.url")
    key = read_key(settings.api_key_env)
    name = settings.name or await _only_model(url, key)
    try:
        kept = KeptRound.find(preset.output_dir, round)
    except UserError:
        if round is not None:
            raise
        kept = None
    # Another's weights cannot be read; where they are served and under which name tells them apart.
    digest = hashlib.sha256(f"{url} {name}".encode()).hexdigest()
    return ModelPlan(Engine(url, name, key), digest, kept)


async def _only_model(url: str, key: str | None) -> str:
    engine = Engine(url, "", key)
    try:
        names = await engine.models()
    except EngineError as error:
        raise UserError(
            f"The server at serving.model.url does not list its models: {error} Start it, or set "
            "serving.model.name."
        ) from error
    finally:
        await engine.close()
    if len(names) != 1:
        raise UserError(
            f"The server at {url} has the models {', '.join(names) or '(none)'}. Choose one with "
            "serving.model.name."
        )
    return names[0]


def context_length(kept: KeptRound) -> int:
    """Tokens of a prompt and its answer: those of the training's rows, and as many to spare."""
    wanted = max(2 * kept.sequence_length, kept.sequence_length + kept.max_output_tokens)
    return -(-wanted // _CONTEXT_TOKENS) * _CONTEXT_TOKENS


def from_environment(value: str, field: str) -> str:
    """Return a value of a preset, or that of the variable which it names as `env:NAME`.

    Raises:
        UserError: The variable is not set.
    """
    if not value.startswith(_ENVIRONMENT):
        return value
    name = value.removeprefix(_ENVIRONMENT)
    if name not in os.environ:
        raise UserError(f"{name} is not set (needed for {field}). Set it to the server's URL.")
    return os.environ[name]


def read_key(variable: str | None) -> str | None:
    """Return the key in an environment variable; None where none is named.

    Raises:
        UserError: The variable is not set.
    """
    if variable and variable not in os.environ:
        raise UserError(
            f"{variable} is not set (needed for the server of the tuned model). Run: export "
            f"{variable}=YOUR_KEY"
        )
    return os.environ[variable] if variable else None
