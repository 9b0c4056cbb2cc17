"""The one configuration object, read from a YAML preset, the environment and `--set key=value`.

Reading a configuration opens no credential and imports neither TFX nor TensorFlow.
"""

import os
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import pydantic
import yaml

from components.errors import UserError
from components.hf_pusher.settings import PushSettings
from components.llm_evaluator.settings import EvaluatorSettings
from components.response_gen.settings import GenerationSettings
from components.service_llm.settings import EmbedderSettings, ServiceLLMSettings
from components.synth_data_gen.settings import SynthSettings
from components.task import Task
from models.hparams import TrainHParams
from pipeline.vertex.settings import VertexSettings

PRESET_DIR = Path(__file__).parent / "presets"
ENV_PREFIX = "UNDERSTUDY__"
_BACKEND_VARIABLE = "KERAS_BACKEND"  # Keras' own, which its users know
_EXTENDS = "extends"
# PyYAML lets errors of dates and numbers through, and of texts that are nested too deeply.
_NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
# Keys of names of secrets, where a hurried user puts the secret itself.
_MAY_HOLD_SECRETS = ("api_key_env", "api_key_secret", "token_env", "token_secret")


class ConfigError(UserError):
    """A preset, an environment variable or a `--set` that cannot be used."""


class RoundsSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a round starts from, and when the loop stops besides reaching the evaluator's gate.

    Attributes:
        max_rounds: Rounds at most.
        patience: Rounds without a better coverage rate before the loop gives up.
        warm_start: What the training of a round starts from: `scratch` is the base model, `best`
            the model of the best round so far. The first round has the base model only.
        budget_usd: Stop starting rounds once the replies cost this much; None for no limit.
    """

    max_rounds: int = pydantic.Field(5, ge=1, le=50)
    patience: int = pydantic.Field(2, ge=1)
    warm_start: Literal["scratch", "best"] = "scratch"
    budget_usd: float | None = pydantic.Field(None, gt=0)


class Config(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Everything a run depends on, except secrets.

    Attributes:
        name: Names the pipeline in the metadata store.
        coverage_dir: Folder with the coverage dataset; relative to the working directory.
        output_dir: Where a local run writes; relative to the working directory.
        task: What the service LLM is told about the task.
        service_llm: Generates the data, and judges unless `judge` is set.
        judge: Another service LLM for LLMEvaluator.
        embedder: An embedding model, with which SynthDataGen compares prompts, and LLMEvaluator
            responses with desired outputs.
        rounds: When the loop stops.
        synth: SynthDataGen.
        training: Trainer.
        generation: ResponseGen.
        evaluator: LLMEvaluator and the gate.
        push: HFPusher.
        vertex: Where `kubeflow_runner.py` runs the pipeline; unused by `local_runner.py`.
    """

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)
    coverage_dir: str
    output_dir: str = "output"
    task: Task
    service_llm: ServiceLLMSettings
    judge: ServiceLLMSettings | None = None
    embedder: EmbedderSettings | None = None
    rounds: RoundsSettings = RoundsSettings()
    synth: SynthSettings = SynthSettings()
    training: TrainHParams
    generation: GenerationSettings = GenerationSettings()
    evaluator: EvaluatorSettings = EvaluatorSettings()
    push: PushSettings = PushSettings()
    vertex: VertexSettings | None = None

    @pydantic.model_validator(mode="after")
    def _generation_has_its_backend(self) -> Self:
        if self.generation.distribution != "none" and self.training.backend != "jax":
            raise ValueError(
                f"generation.distribution is {self.generation.distribution!r}, which needs Keras' "
                "JAX backend; set training.backend=jax, or generation.distribution=none"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _gate_has_its_scorer(self) -> Self:
        if self.evaluator.gate.scorer == "embedding" and self.embedder is None:
            raise ValueError(
                "evaluator.gate.scorer is 'embedding', and there is no embedding model; add an "
                "'embedder' (provider, model), or set evaluator.gate.scorer to another one"
            )
        return self

    @property
    def push_settings(self) -> PushSettings:
        """`push`, with the local hub in the output folder where it is not set."""
        if "local_hub_dir" in self.push.model_fields_set:
            return self.push
        return self.push.model_copy(update={"local_hub_dir": f"{self.output_dir}/hub"})

    @property
    def few_shot_generation(self) -> GenerationSettings:
        """`generation` of the untuned model that is prompted with examples."""
        return self.generation.model_copy(
            update={
                "few_shot": self.evaluator.baseline_examples,
                "instruction": self.task.instruction.strip(),
            }
        )

    @property
    def judge_llm(self) -> ServiceLLMSettings:
        """The service LLM that judges."""
        return self.judge or self.service_llm

    @property
    def services(self) -> dict[str, ServiceLLMSettings]:
        """All services that are asked, by the section that configures them."""
        sections = {
            "service_llm": self.service_llm,
            "judge": self.judge,
            "embedder": self.embedder,
        }
        return {name: settings for name, settings in sections.items() if settings}

    @property
    def vertex_settings(self) -> VertexSettings:
        """The `vertex` section; ConfigError where there is none."""
        if self.vertex is None:
            raise ConfigError(
                f"The preset of {self.name!r} has no 'vertex' section, so it cannot run on Vertex "
                "AI. Use --preset vertex, or add vertex: {project, region, pipeline_root, image}."
            )
        return self.vertex


def preset_names() -> list[str]:
    """The presets that come with the repository, sorted."""
    return sorted(p.stem for p in PRESET_DIR.glob("*.yaml") if p.stem != "base")


def load_config(
    preset: str = "offline",
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read a preset and apply the environment, then the overrides.

    Args:
        preset: A name of `preset_names()`, or the path of a YAML file.
        overrides: `key.path=value` strings; the value is read as YAML.
        environ: Variables named `UNDERSTUDY__KEY__PATH`, and `KERAS_BACKEND` for
            `training.backend`; default is the process environment.

    Returns:
        The frozen configuration.

    Raises:
        ConfigError: An unknown preset or key, or a bad value; the message names all of them.
    """
    values = _read_preset(preset)
    environ = os.environ if environ is None else environ
    if backend := environ.get(_BACKEND_VARIABLE):
        _assign(values, ["training", "backend"], backend, _BACKEND_VARIABLE)
    for name in sorted(n for n in environ if n.startswith(ENV_PREFIX)):
        _assign(values, name[len(ENV_PREFIX) :].lower().split("__"), _scalar(environ[name]), name)
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {override!r} has no value. Write --set key.path=value.")
        _assign(values, key.split("."), _scalar(text), f"--set {key}")
    try:
        return Config.model_validate(values)
    except pydantic.ValidationError as error:
        raise ConfigError(_explain(error, preset)) from error


def _read_preset(preset: str, heirs: tuple[str, ...] = ()) -> dict[str, Any]:
    is_path = preset.endswith((".yaml", ".yml"))
    path = Path(preset) if is_path else PRESET_DIR / f"{preset}.yaml"
    if str(path) in heirs:
        raise ConfigError(f"The presets {' -> '.join([*heirs, str(path)])} extend each other.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no preset {preset!r}. Choose one of {', '.join(preset_names())}, "
            "or give the path of a YAML file."
        ) from None
    except OSError as error:
        raise ConfigError(f"The preset {path} cannot be read: {error.strerror}.") from error
    except _NO_YAML as error:
        raise ConfigError(f"The preset {path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"The preset {path} holds {type(values).__name__}, not keys and values.")
    parent = values.pop(_EXTENDS, None)
    if not isinstance(parent, str | None):
        raise ConfigError(
            f"The preset {path} extends {parent!r}. Give the name of one preset, or the path of a "
            "YAML file."
        )
    return merge(_read_preset(parent, (*heirs, str(path))), values) if parent else values


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Values with others put over them, key by key at every depth."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except _NO_YAML:
        return text


def _assign(values: dict[str, Any], path: list[str], value: Any, origin: str) -> None:
    for part in path[:-1]:
        child = values.setdefault(part, {})
        if child is None:
            child = values[part] = {}
        if not isinstance(child, dict):
            raise ConfigError(f"{origin}: {part!r} is a value ({child!r}) and holds no keys.")
        values = child
    values[path[-1]] = value


def _explain(error: pydantic.ValidationError, preset: str) -> str:
    lines = [f"The configuration (preset {preset!r}) cannot be used:"]
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        if item["type"] == "extra_forbidden":
            allowed = ", ".join(_keys_at(Config, item["loc"][:-1]))
            lines.append(f"  {path}: unknown key. Allowed here: {allowed}.")
        elif item["type"] == "missing":
            lines.append(f"  {path}: missing. Set it in the preset or with --set {path}=VALUE.")
        elif path.endswith(_MAY_HOLD_SECRETS):
            lines.append(f"  {path}: received something else. {item['msg']}.")
        else:
            lines.append(f"  {path}: received {item['input']!r}. {item['msg']}.")
    return "\n".join(lines)


def _keys_at(model: type[pydantic.BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        options = [field.annotation, *typing.get_args(field.annotation)] if field else []
        models = [o for o in options if isinstance(o, type) and issubclass(o, pydantic.BaseModel)]
        if not models:
            return []
        model = models[0]
    return sorted(model.model_fields)
