"""Writes the README.md of the model repository, with the metadata block that the Hub reads."""

import dataclasses
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCardData

from components.hf_pusher.base_models import BaseModel
from components.hf_pusher.cards import TAG
from components.hf_pusher.settings import PushSettings
from components.task import Task

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # Markdown, not HTML
)
_TEMPLATE = "model_card.md.j2"
# Where a format is in the repository, and what loads it.
_FORMATS = {
    "preset": ("the root", "KerasHub"),
    "adapter": ("`adapter.lora.h5`", "KerasHub, on the base model"),
    "transformers": ("`transformers/`", "transformers, vLLM, TGI"),
    "saved_model": ("`saved_model/`", "TensorFlow Serving"),
    "gguf": ("`gguf/`", "llama.cpp, Ollama"),
}
_QUANTIZED_PRESETS = ("packaged:", "gguf:")
_CONFIDENCE = 0.95  # of the intervals in the coverage report


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the model card tells.

    Attributes:
        task: The task that the model takes over.
        round: Number of the round, from 1.
        report: The parsed `coverage_report.json`.
        training: The parsed `training.json`.
        synthesis: The parsed `synthesis.json`.
        generation: The parsed `generation.json`.
        base: The model that was trained further.
        model_id: The model repository.
        dataset_id: The dataset repository; None where it is not pushed.
    """

    task: Task
    round: int
    report: dict[str, Any]
    training: dict[str, Any]
    synthesis: dict[str, Any]
    generation: dict[str, Any]
    base: BaseModel
    model_id: str
    dataset_id: str | None

    @property
    def tuned(self) -> dict[str, Any]:
        """The tuned model's part of the report."""
        tuned: dict[str, Any] = self.report["models"]["tuned"]
        return tuned

    @property
    def hparams(self) -> dict[str, Any]:
        """The hyperparameters of the training; empty where they were not recorded."""
        hparams: dict[str, Any] = self.training.get("hparams", {})
        return hparams

    @property
    def exports(self) -> dict[str, dict[str, Any]]:
        """What the model was written as, with its comparison with the trained model."""
        exports: dict[str, dict[str, Any]] = self.training["exports"]
        return exports

    @property
    def is_lora(self) -> bool:
        """Whether LoRA factors were trained, not all weights."""
        return bool(self.hparams.get("method", "lora") == "lora")


def model_card(settings: PushSettings, facts: Facts) -> str:
    """The README.md of the model repository."""
    report = facts.report
    base_rates = report["models"].get("base")
    return _TEMPLATES.get_template(_TEMPLATE).render(
        card_data=_metadata(settings, facts).to_yaml(),
        facts=facts,
        instruction=textwrap.indent(facts.task.instruction.strip(), "    "),
        gate=report["gate"],
        has_base_rates=bool(base_rates),
        coverage=[
            {
                "name": name,
                "rate": _rate(rates),
                "interval": f"{rates['low_percent']:.1f} to {rates['high_percent']:.1f}",
                "base": _rate(other) if other else "",
            }
            for name, rates, other in _lines(facts.tuned, base_rates)
        ],
        formats=[
            (*place, facts.exports[name])
            for name, place in _FORMATS.items()
            if name in facts.exports
        ],
        total=facts.tuned[report["gate"]["split"]]["total"],
        judge=_judge(report["judge"]),
        generator=_llm(facts.synthesis["generator"]),
        training=_training(facts.training),
        prefix=repr(facts.generation["prefix"]),
        suffix=repr(facts.generation["suffix"]),
        end=repr(facts.generation["stop"][0]),
        max_length=facts.generation["sequence_length"],
        is_quantized=str(facts.training.get("preset", "")).startswith(_QUANTIZED_PRESETS),
    )


def _metadata(settings: PushSettings, facts: Facts) -> ModelCardData:
    base = facts.base
    own: dict[str, Any] = {}
    if base.license:
        own = {"license": base.license.id, "license_link": base.license.link or None}
        if base.license.id == "other":
            own["license_name"] = base.license.name
    elif not base.is_random:
        own = {"license": "unknown"}
    if base.hub_id:
        own |= {"base_model": base.hub_id, "base_model_relation": "finetune"}
    return ModelCardData(
        language=list(settings.languages),
        library_name="keras-hub",
        pipeline_tag="text-generation",
        datasets=[facts.dataset_id] if facts.dataset_id else None,
        tags=[
            TAG,
            *([base.family] if base.family else []),
            *(["lora"] if facts.is_lora else []),
            *(name for name in ("transformers", "gguf") if name in facts.exports),
        ],
        model_name=facts.model_id.rsplit("/", 1)[-1],
        eval_results=[
            _eval_result(facts, split) for split in ("holdout", "seed") if split in facts.tuned
        ],
        **own,
    )


def _eval_result(facts: Facts, split: str) -> EvalResult:
    rates, judge = facts.tuned[split], facts.report["judge"]
    return EvalResult(
        task_type="text-generation",
        task_name=facts.task.title,
        dataset_type=f"{facts.task.name}_coverage",
        dataset_name=f"{facts.task.title} coverage prompts",
        dataset_split=split,
        metric_type="coverage_rate",
        metric_name="Coverage rate (percent)",
        metric_value=round(rates["rate_percent"], 2),
        metric_args={
            "covered": rates["covered"],
            "total": rates["total"],
            "unscored": rates["unscored"],
            "confidence": _CONFIDENCE,
            "low_percent": round(rates["low_percent"], 2),
            "high_percent": round(rates["high_percent"], 2),
            "judge": f"{judge['model']} ({judge['provider']})",
        },
    )


def _lines(
    tuned: dict[str, Any], base: dict[str, Any] | None
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    for name in ("holdout", "seed", "overall"):
        if name in tuned:
            yield name, tuned[name], base.get(name) if base else None
    for tag in sorted(tuned.get("tags", {})):
        other = base.get("tags", {}).get(tag) if base else None
        yield f"tag `{tag}`", tuned["tags"][tag], other


def _rate(rates: dict[str, Any]) -> str:
    unscored = f", {rates['unscored']} unscored" if rates["unscored"] else ""
    return f"{rates['rate_percent']:.1f} % ({rates['covered']} of {rates['total']}{unscored})"


def _llm(settings: dict[str, Any]) -> str:
    return f"`{settings['model']}` ({settings['provider']})"


def _judge(judge: dict[str, Any]) -> str:
    return (
        f"{_llm(judge)}, {judge['votes']} votes, similarity at least "
        f"{judge['similarity_threshold']} and precision at least "
        f"{judge['precision_threshold']} of 5"
    )


def _training(training: dict[str, Any]) -> list[tuple[str, Any]]:
    simple = (str, int, float, bool)
    return [
        (key.replace("_", " "), value)
        for key, value in training.items()
        if isinstance(value, simple)
    ]
