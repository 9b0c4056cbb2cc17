"""The one configuration object, read from a YAML preset, the environment and `--set key=value`.

Reading a configuration opens no credential and imports neither TFX nor TensorFlow.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

import pydantic

from components.hf_pusher.settings import PushSettings
from components.response_gen.settings import GenerationSettings
from components.synth_data_gen.settings import SynthSettings
from core.example_budget import FEW_SHOT_EXAMPLES
from core.yaml_text import read_yaml
from judging.operation_settings import OperationSettings
from judging.scorers import needs_embedder
from judging.settings import EvaluatorSettings
from models.hparams import TrainHParams
from pipeline.config_errors import ENV_PREFIX, explain, not_finite
from pipeline.preset_files import ConfigError, read_preset
from pipeline.suggestions import misspelled_variable
from pipeline.vertex.settings import VertexSettings
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from serving.settings import ServingSettings
from task.privacy import PrivacySettings
from task.split_settings import SplitSettings
from task.task import Task

_BACKEND_VARIABLE = "KERAS_BACKEND"  # Keras' own, which its users know


class RoundsSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """What a round starts from, and when the loop stops besides reaching the evaluator's gate."""

    max_rounds: int = pydantic.Field(5, ge=1, le=50)
    """Maximum number of rounds."""

    patience: int = pydantic.Field(2, ge=1)
    """Rounds without a better coverage rate before the loop gives up."""

    warm_start: Literal["scratch", "best"] = "scratch"
    """What the training of a round starts from: `scratch` is the base model, `best` the model of
    the best round so far. The first round has the base model only."""

    pause_after: Literal["synth"] | None = None
    """`synth` stops each round before its training, so that a person can look at its rows, edit,
    delete and add some; the next run continues with them. On this machine only: Vertex AI refuses
    it."""

    budget_usd: float | None = pydantic.Field(None, gt=0)
    """Start no further round once the replies have cost this much; None for no limit."""


class Config(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """Everything a run depends on, except secrets."""

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)
    """Names the pipeline in the metadata store."""

    coverage_dir: str
    """Folder with the coverage dataset; relative to the working directory."""

    output_dir: str = "output"
    """Where a local run writes; relative to the working directory."""

    task: Task
    """What the service LLM is told about the task."""

    service_llm: ServiceLLMSettings
    """The service that is taken over: generates the data, answers the baseline `service`, and
    judges unless `judge` is set."""

    judge: ServiceLLMSettings | None = None
    """Another service LLM for LLMEvaluator."""

    embedder: EmbedderSettings | None = None
    """An embedding model, with which SynthDataGen compares prompts, and LLMEvaluator responses with
    references."""

    splits: SplitSettings = SplitSettings()
    """Seed, holdout and test."""

    rounds: RoundsSettings = RoundsSettings()
    """When the loop stops."""

    synth: SynthSettings = SynthSettings()
    """SynthDataGen."""

    training: TrainHParams
    """Trainer."""

    generation: GenerationSettings = GenerationSettings()
    """ResponseGen."""

    evaluator: EvaluatorSettings = EvaluatorSettings()
    """LLMEvaluator and the gate."""

    push: PushSettings = PushSettings()
    """HFPusher."""

    operation: OperationSettings = OperationSettings()
    """What the report's comparison of the service LLM with the tuned model assumes."""

    serving: ServingSettings = ServingSettings()
    """The gateway of `understudy serve` and the tuned model behind it."""

    privacy: PrivacySettings = PrivacySettings()
    """What is done about personal data in the coverage rows."""

    vertex: VertexSettings | None = None
    """Where `kubeflow_runner.py` runs the pipeline; unused by `local_runner.py`."""

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
        scorer = self.evaluator.gate.scorer
        if self.embedder is None and needs_embedder(scorer):
            raise ValueError(
                f"evaluator.gate.scorer is {scorer!r}, and there is no embedding model; add an "
                "'embedder' (provider, model), or set evaluator.gate.scorer to another one"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _leak_judge_does_not_generate(self) -> Self:
        same = self.judge is None or self.judge.identity == self.service_llm.identity
        if self.synth.leak_judge and same:
            raise ValueError(
                "synth.leak_judge is on, and the judge is the service LLM that generates, which "
                "must not see the holdout while it does; add a 'judge' with another model, or set "
                "synth.leak_judge=false"
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
                "few_shot": self.evaluator.baseline_examples or FEW_SHOT_EXAMPLES,
                "max_example_tokens": self.evaluator.max_example_tokens,
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
        waits = "stops a run on this machine; a job on Vertex AI does not wait for a person."
        if self.rounds.pause_after:
            raise ConfigError(
                f"rounds.pause_after {waits} Set rounds.pause_after=null. To look at rows before "
                "they are trained on, run a round on this machine: understudy run."
            )
        if self.push.approve:
            raise ConfigError(
                f"push.approve {waits} Set push.approve=false. To look at the model before others "
                "can get it, push to private repositories (push.private=true) and open them on the "
                "Hub yourself, or run the loop on this machine: understudy run."
            )
        return self.vertex


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
    return validate(read_values(preset, overrides, environ), preset, environ)


def read_values(
    preset: str, overrides: Iterable[str], environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Read what `load_config` validates."""
    values = read_preset(preset)
    environ = os.environ if environ is None else environ
    if backend := environ.get(_BACKEND_VARIABLE):
        _assign(values, ["training", "backend"], backend, _BACKEND_VARIABLE)
    _refuse_misspelled(environ)
    for name in sorted(n for n in environ if n.startswith(ENV_PREFIX)):
        _assign(values, name[len(ENV_PREFIX) :].lower().split("__"), _scalar(environ[name]), name)
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {override!r} has no value. Write --set key.path=value.")
        _assign(values, key.split("."), _scalar(text), f"--set {key}")
    return values


def validate(
    values: Mapping[str, Any], preset: str, environ: Mapping[str, str] | None = None
) -> Config:
    """Make the configuration of values that `read_values` returned; see `load_config`."""
    try:
        config = Config.model_validate(values)
    except pydantic.ValidationError as error:
        names = os.environ if environ is None else environ
        raise ConfigError(explain(Config, error, preset, names)) from error
    # What was validated, since "inf" and 1e999 become numbers there.
    if infinite := list(not_finite(config.model_dump())):
        raise ConfigError(
            f"The configuration (preset {preset!r}) cannot be used: {', '.join(infinite)}. Give a "
            "finite number, or null where a setting can be switched off."
        )
    return config


def _refuse_misspelled(environ: Mapping[str, str]) -> None:
    """Refuse a variable that would be ignored although a setting was meant."""
    for name in environ:
        if name.startswith(ENV_PREFIX):
            continue
        if meant := misspelled_variable(Config, name, ENV_PREFIX):
            raise ConfigError(
                f"The environment variable {name} is not read. Did you mean {meant}? Rename it, or "
                "unset it."
            )


def _scalar(text: str) -> Any:
    try:
        return read_yaml(text)
    except ValueError:
        return text


def _assign(values: dict[str, Any], path: list[str], value: object, origin: str) -> None:
    for part in path[:-1]:
        child = values.setdefault(part, {})
        if child is None:
            child = values[part] = {}
        if not isinstance(child, dict):
            raise ConfigError(
                f"{origin}: {part!r} is a value ({child!r}), not a section with keys."
            )
        values = child
    values[path[-1]] = value
