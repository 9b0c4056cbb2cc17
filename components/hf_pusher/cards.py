"""Writes the README.md of each repository, with the metadata block that the Hub reads."""

import dataclasses
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml
from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

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
_FAMILIES = ("gemma", "mistral", "llama")
_TAG = "understudy"
_QUANTIZED_PRESETS = ("packaged:", "gguf:")
# Presets whose name does not say the id of the model on the Hub.
_HUB_IDS = {
    "packaged:gemma3-270m": "google/gemma-3-270m",
    "gemma3_270m": "google/gemma-3-270m",
    "gemma3_instruct_270m": "google/gemma-3-270m-it",
    "gemma3_1b": "google/gemma-3-1b-pt",
    "gemma3_instruct_1b": "google/gemma-3-1b-it",
    "gemma2_2b_en": "google/gemma-2-2b",
    "gemma2_instruct_2b_en": "google/gemma-2-2b-it",
}


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
        model_id: The model repository.
        dataset_id: The dataset repository; None where it is not pushed.
        has_transformers: Whether the repository holds a transformers checkpoint.
    """

    task: Task
    round: int
    report: dict[str, Any]
    training: dict[str, Any]
    synthesis: dict[str, Any]
    generation: dict[str, Any]
    model_id: str
    dataset_id: str | None
    has_transformers: bool


def title(task: Task) -> str:
    """The task's name for people: `support_triage` becomes "Support triage"."""
    return task.name.replace("_", " ").capitalize()


def model_card(settings: PushSettings, facts: Facts) -> str:
    """The README.md of the model repository."""
    tuned = facts.report["models"]["tuned"]
    base = facts.report["models"].get("base")
    preset = str(facts.training.get("preset", ""))
    base_model = settings.base_model or _hub_id(preset)
    generation = facts.generation
    return _TEMPLATES.get_template("model_card.md.j2").render(
        card_data=_model_data(settings, facts, base_model).to_yaml(),
        title=title(facts.task),
        task=facts.task,
        instruction=_as_code(facts.task),
        round=facts.round,
        stand_in=facts.report["stand_in"],
        base_model=base_model,
        gate=facts.report["gate"],
        base=base,
        coverage=[
            {
                "name": name,
                "rate": _rate(rates),
                "interval": f"{rates['low_percent']:.1f} to {rates['high_percent']:.1f}",
                "base": _rate(other) if other else "",
            }
            for name, rates, other in _lines(tuned, base)
        ],
        total=tuned[facts.report["gate"]["split"]]["total"],
        judge=_judge(facts.report["judge"]),
        generator=_llm(facts.synthesis["generator"]),
        synthesis=facts.synthesis,
        training=_training(facts.training),
        model_id=facts.model_id,
        dataset_id=facts.dataset_id,
        has_transformers=facts.has_transformers,
        hparams=_hyperparameters(facts),
        prefix=repr(generation["prefix"]),
        suffix=repr(generation["suffix"]),
        max_length=generation["sequence_length"],
        quantized=preset.startswith(_QUANTIZED_PRESETS),
        license=settings.license,
        license_link=settings.license_link,
    )


def dataset_card(
    settings: PushSettings,
    *,
    task: Task,
    synthesis: dict[str, Any],
    rows: dict[str, int],
    model_id: str,
) -> str:
    """The README.md of the dataset repository.

    Args:
        settings: For the languages.
        task: The task of the rows.
        synthesis: The parsed `synthesis.json`.
        rows: Number of rows by split.
        model_id: The model that was trained on them.
    """
    data = DatasetCardData(
        language=list(settings.languages),
        pretty_name=f"{title(task)}: synthetic training data",
        size_categories=_size_category(sum(rows.values())),
        task_categories=["text-generation"],
        tags=[_TAG, "synthetic"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in rows],
            }
        ],
    )
    dropped = {k: v for k, v in synthesis["dropped"].items() if v}
    return _TEMPLATES.get_template("dataset_card.md.j2").render(
        card_data=data.to_yaml(),
        title=title(task),
        task=task,
        instruction=_as_code(task),
        stand_in=synthesis["stand_in"],
        generator=_llm(synthesis["generator"]),
        model_id=model_id,
        rows=rows,
        synthesis=synthesis,
        dropped=", ".join(f"{k.replace('_', ' ')} {v}" for k, v in sorted(dropped.items())),
    )


def space_card(template: str, task: Task, model_id: str) -> str:
    """The README.md of the Space: the application's own, with title and model filled in."""
    _, block, body = template.split("---\n", 2)
    metadata = {**yaml.safe_load(block), "title": title(task), "models": [model_id]}
    dumped = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{dumped}---\n{body}"


def _model_data(settings: PushSettings, facts: Facts, base_model: str | None) -> ModelCardData:
    return ModelCardData(
        language=list(settings.languages),
        license=settings.license,
        license_link=settings.license_link,
        library_name="keras-hub",
        pipeline_tag="text-generation",
        base_model=base_model,
        datasets=[facts.dataset_id] if facts.dataset_id else None,
        tags=_tags(facts),
        model_name=facts.model_id.rsplit("/", 1)[-1],
        eval_results=[
            _eval_result(facts, split, facts.report["models"]["tuned"][split])
            for split in ("holdout", "seed")
            if split in facts.report["models"]["tuned"]
        ],
    )


def _tags(facts: Facts) -> list[str]:
    method = _hyperparameters(facts).get("method", "lora")
    family = next((f for f in _FAMILIES if f in str(facts.training.get("preset", ""))), None)
    exports = ["transformers"] if facts.has_transformers else []
    return [_TAG, *([family] if family else []), *(["lora"] if method == "lora" else []), *exports]


def _hyperparameters(facts: Facts) -> dict[str, Any]:
    values: dict[str, Any] = facts.training.get("hparams", {})
    return values


def _eval_result(facts: Facts, split: str, rates: dict[str, Any]) -> EvalResult:
    return EvalResult(
        task_type="text-generation",
        task_name=title(facts.task),
        dataset_type=f"{facts.task.name}_coverage",
        dataset_name=f"{title(facts.task)} coverage prompts",
        dataset_split=split,
        metric_type="coverage_rate",
        metric_name="Coverage rate (percent)",
        metric_value=round(rates["rate_percent"], 2),
        metric_args={
            "covered": rates["covered"],
            "total": rates["total"],
            "unscored": rates["unscored"],
            "confidence": 0.95,
            "low_percent": round(rates["low_percent"], 2),
            "high_percent": round(rates["high_percent"], 2),
            "judge": _llm(facts.report["judge"]),
        },
    )


def _hub_id(preset: str) -> str | None:
    return preset.removeprefix("hf://") if preset.startswith("hf://") else _HUB_IDS.get(preset)


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


def _as_code(task: Task) -> str:
    return textwrap.indent(task.instruction.strip(), "    ")


def _size_category(rows: int) -> str:
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
    return next((name for limit, name in limits if rows < limit), "100K<n<1M")
