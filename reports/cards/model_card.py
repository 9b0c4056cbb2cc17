"""Writes the README.md of a model repository, with the metadata block that the Hub reads."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
from huggingface_hub import EvalResult, ModelCardData

from core.base_model import BaseModel
from core.records import TEST_SPLIT, VerdictRow
from core.reports.coverage import JUDGE, TUNED, CoverageReport
from core.reports.rates import Rate
from core.reports.synthesis import SynthesisRecord
from core.reports.training import PromptFormat, TrainingRecord
from reports.rendering import render
from reports.wording import SPLITS, model_name

TAG = "understudy"
_TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.j2"
_CONFIDENCE = 0.95  # of the intervals in the coverage report
# Where a format is in the repository, and what loads it.
_FORMATS = {
    "preset": ("the root", "KerasHub"),
    "adapter": ("`adapter.lora.h5`", "KerasHub, on the base model"),
    "transformers": ("`transformers/`", "transformers, vLLM, TGI"),
    "saved_model": ("`saved_model/`", "TensorFlow Serving"),
    "gguf": ("`gguf/`", "llama.cpp, Ollama"),
}
_QUANTIZED_PRESETS = ("packaged:", "gguf:")


class ModelCard(pydantic.BaseModel, frozen=True):
    """What a model card says.

    Attributes:
        title: The task's name for people.
        instruction: What the task asks for.
        report: The evaluation.
        training: The training.
        synthesis: The generation of the data.
        prompt_format: How the model is prompted.
        base: The model that was trained further.
        model_id: The model repository.
        dataset_id: The dataset repository; None where it is not pushed.
        is_local: Whether the repositories are folders, which no name on the Hub leads to.
        languages: ISO 639-1 codes.
        example: The tuned model's answer to a coverage prompt; None where none is short enough.
    """

    title: str
    instruction: str
    report: CoverageReport
    training: TrainingRecord
    synthesis: SynthesisRecord
    prompt_format: PromptFormat
    base: BaseModel
    model_id: str
    dataset_id: str | None
    languages: tuple[str, ...]
    example: VerdictRow | None = None
    is_local: bool = False


def render_model_card(card: ModelCard) -> str:
    """Render the README.md of the model repository."""
    report, training = card.report, card.training
    simple = training.model_dump(exclude={"schema_version"})
    return render(
        _TEMPLATE,
        card=card,
        card_data=_metadata(card).to_yaml(),
        instruction=textwrap.indent(card.instruction.strip(), "    "),
        gate=report.gate,
        look=report.last_look,
        models=[model_name(model) for model in report.models],
        rates=_rates(report),
        strict_models=[model_name(model) for model in report.strict],
        strict_rates=_strict_rates(report),
        limits=_limits(card),
        formats=[
            (*place, training.exports[name])
            for name, place in _FORMATS.items()
            if name in training.exports
        ],
        training=[
            (key.replace("_", " "), value)
            for key, value in simple.items()
            if isinstance(value, (str, int, float))
        ],
    )


def _limits(card: ModelCard) -> list[str]:
    """Say what this model, as it was made and measured, cannot be relied on for."""
    report, training, gate = card.report, card.training, card.report.gate
    look = report.last_look
    rate = look.models[TUNED] if look else report.models[TUNED][gate.split]
    where = "test" if look else "held-out" if gate.split == "holdout" else gate.split
    limits = [
        "It does one task. Asked for anything else it answers as if it were this task, or nonsense."
    ]
    if card.synthesis.stand_in and card.synthesis.generated_rows:
        limits.append("It has learned from rows that a grammar wrote, no service LLM.")
    else:
        limits.append("It has learned from a service LLM and repeats that model's mistakes.")
    if report.stand_in:
        limits.append(
            "A grammar judged it in place of a language model: the rates are no evidence that it "
            "does the task."
        )
    elif gate.scorer == JUDGE:
        limits.append("A language model judged it, and makes mistakes of its own.")
    limits.append(
        f"The rate is measured on {rate.total} {where} prompts in {', '.join(card.languages)}: "
        f"other prompts like them are covered at {rate.low_percent:.0f} to "
        f"{rate.high_percent:.0f} % (95 % interval), and prompts unlike them may fare worse."
    )
    judge = look.strict[TUNED].judge if look and look.strict else None
    if judge and judge.warn:
        limits.append(
            f"On the test prompts the judge's rate is {judge.points:+.1f} points from the share of "
            "answers that equal the reference."
        )
    tags = report.models[TUNED].tags
    worst = min(tags, key=lambda tag: (tags[tag].rate_percent, -tags[tag].total), default=None)
    if worst is not None and tags[worst].rate_percent < 100:
        weak = tags[worst]
        limits.append(
            f"Weakest tag: `{worst}`, {weak.rate_percent:.1f} % of {weak.total} (95 % interval "
            f"{weak.low_percent:.1f} to {weak.high_percent:.1f} %)."
        )
    if report.failures:
        limits.append(f"Most frequent mistake: `{report.failures[0].text.replace('`', '')}`.")
    too_long = training.rows_too_long
    limits.append(
        f"Prompt and response together take at most {card.prompt_format.sequence_length} tokens"
        f"{f'; {too_long} longer rows were left out of the training' if too_long else ''}."
    )
    if training.best_step == 0 < training.steps:
        limits.append(
            f"It has learned nothing: none of the {training.steps:,} steps made the eval loss "
            "lower, so the weights from before the training were kept."
        )
    if training.preset.startswith(_QUANTIZED_PRESETS):
        limits.append(
            "The base weights were dequantized from a GGUF file; they are not the original ones."
        )
    return limits


def _metadata(card: ModelCard) -> ModelCardData:
    base, exports = card.base, card.training.exports
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
        language=list(card.languages),
        library_name="keras-hub",
        pipeline_tag="text-generation",
        datasets=[card.dataset_id] if card.dataset_id and not card.is_local else None,
        tags=[
            TAG,
            *([base.family] if base.family else []),
            *(["lora"] if card.training.is_lora else []),
            *(name for name in ("transformers", "gguf") if name in exports),
        ],
        model_name=card.model_id.rsplit("/", 1)[-1],
        eval_results=_eval_results(card),
        **own,
    )


def _eval_results(card: ModelCard) -> list[EvalResult]:
    """Return the rates by split, that of the test split first where it was judged."""
    look = card.report.last_look
    rates = {split: card.report.models[TUNED][split] for split in SPLITS[:2]}
    test = {TEST_SPLIT: look.models[TUNED]} if look else {}
    found = [_eval_result(card, split, rate) for split, rate in (test | rates).items()]
    if strict := card.report.strict.get(TUNED):
        equal: dict[str, Rate] = {}
        if look and TUNED in look.strict:
            equal[TEST_SPLIT] = look.strict[TUNED].rate
        equal |= {split: strict[split].rate for split in SPLITS[:2]}
        found += [_eval_result(card, split, rate, strict=True) for split, rate in equal.items()]
    return found


def _eval_result(card: ModelCard, split: str, rate: Rate, *, strict: bool = False) -> EvalResult:
    judge, task = card.report.judge, card.report.task
    return EvalResult(
        task_type="text-generation",
        task_name=card.title,
        dataset_type=f"{task}_coverage",
        dataset_name=f"{card.title} coverage prompts",
        dataset_split=split,
        metric_type="strict_rate" if strict else "coverage_rate",
        metric_name="Strict rate (percent)" if strict else "Coverage rate (percent)",
        metric_value=round(rate.rate_percent, 2),
        metric_args={
            "covered": rate.covered,
            "total": rate.total,
            "unscored": rate.unscored,
            "confidence": _CONFIDENCE,
            "low_percent": round(rate.low_percent, 2),
            "high_percent": round(rate.high_percent, 2),
            **({} if strict else {"judge": f"{judge.model} ({judge.provider})"}),
        },
    )


def _rates(report: CoverageReport) -> Sequence[tuple[str, Sequence[Rate | None]]]:
    """Return names of splits and tags, each with every model's rate."""
    models = list(report.models.values())
    return [
        *((split, [rates[split] for rates in models]) for split in SPLITS),
        *(
            (f"tag `{tag}`", [rates.tags.get(tag) for rates in models])
            for tag in sorted(report.models[TUNED].tags)
        ),
    ]


def _strict_rates(report: CoverageReport) -> Sequence[tuple[str, Sequence[Rate | None]]]:
    """Return names of splits, each with the strict rate of every model that has one."""
    found: list[tuple[str, list[Rate | None]]] = [
        (split, [part[split].rate for part in report.strict.values()]) for split in SPLITS
    ]
    if report.last_look and report.last_look.strict:
        sealed = report.last_look.strict
        rates = [sealed[model].rate if model in sealed else None for model in report.strict]
        found.insert(0, (TEST_SPLIT, rates))
    return found
