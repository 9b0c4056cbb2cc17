"""Writes the README.md of a model repository, with the metadata block that the Hub reads."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
from huggingface_hub import EvalResult, ModelCardData

from core.base_model import BaseModel
from core.records import TEST_SPLIT
from core.reports.coverage import BASE, TUNED, CoverageReport
from core.reports.rates import Rate
from core.reports.synthesis import SynthesisRecord
from core.reports.training import PromptFormat, TrainingRecord
from reports.rendering import render
from reports.wording import SPLITS

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
        languages: ISO 639-1 codes.
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
        rates=_rates(report),
        has_base=BASE in report.models,
        formats=[
            (*place, training.exports[name])
            for name, place in _FORMATS.items()
            if name in training.exports
        ],
        total=report.models[TUNED][report.gate.split].total,
        training=[
            (key.replace("_", " "), value)
            for key, value in simple.items()
            if isinstance(value, (str, int, float))
        ],
        is_quantized=training.preset.startswith(_QUANTIZED_PRESETS),
    )


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
        datasets=[card.dataset_id] if card.dataset_id else None,
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
    return [_eval_result(card, split, rate) for split, rate in (test | rates).items()]


def _eval_result(card: ModelCard, split: str, rate: Rate) -> EvalResult:
    judge, task = card.report.judge, card.report.task
    return EvalResult(
        task_type="text-generation",
        task_name=card.title,
        dataset_type=f"{task}_coverage",
        dataset_name=f"{card.title} coverage prompts",
        dataset_split=split,
        metric_type="coverage_rate",
        metric_name="Coverage rate (percent)",
        metric_value=round(rate.rate_percent, 2),
        metric_args={
            "covered": rate.covered,
            "total": rate.total,
            "unscored": rate.unscored,
            "confidence": _CONFIDENCE,
            "low_percent": round(rate.low_percent, 2),
            "high_percent": round(rate.high_percent, 2),
            "judge": f"{judge.model} ({judge.provider})",
        },
    )


def _rates(report: CoverageReport) -> Sequence[tuple[str, Rate, Rate | None]]:
    """Return name, rate and the base model's rate by split and tag."""
    tuned, base = report.models[TUNED], report.models.get(BASE)
    return [
        *((split, tuned[split], base[split] if base else None) for split in SPLITS),
        *(
            (f"tag `{tag}`", tuned.tags[tag], base.tags.get(tag) if base else None)
            for tag in sorted(tuned.tags)
        ),
    ]
