"""Records with values that a test need not care about."""

from core.reports.coverage import CoverageReport
from core.reports.loop import LoopSummary, RoundSummary
from core.reports.rates import Rate, Rates
from core.reports.synthesis import DataGenerator, SynthesisRecord
from core.reports.training import TrainingRecord, UsedHParams
from core.synthetic_records import NearestCoverage, Provenance, RowGenerator, SyntheticRow
from core.usage import Usage


def rate(covered, total, low, high):
    return Rate(
        covered=covered,
        total=total,
        unscored=0,
        prompts=total,
        rate_percent=100 * covered / total,
        low_percent=low,
        high_percent=high,
    )


def rates(overall, seed, holdout, **tags):
    return Rates(overall=overall, seed=seed, holdout=holdout, tags=tags)


def coverage_report(models, **changes):
    """A report whose gate passed; `models` maps a model to its `Rates`."""
    gate = {
        "split": "holdout",
        "statistic": "point",
        "threshold_percent": 70.0,
        "scorer": "judge",
        "rate": models["tuned"].holdout,
        "value_percent": models["tuned"].holdout.rate_percent,
        "passed": True,
        "reasons": (),
    }
    judge = {
        "provider": "gemini",
        "model": "stand-in-1",
        "votes": 2,
        "temperature": 0.0,
        "similarity_threshold": 4.0,
        "correctness_threshold": 4.0,
        "prompt_version": "v1",
        "judge_exact_matches": True,
    }
    values = {
        "task": "support_triage",
        "round": 2,
        "models": models,
        "judge": judge,
        "scorers": {},
        "consistency": {"responses": 0, "order_flips": 0, "suspect_references": ()},
        "baselines": {},
        "change": None,
        "calibration": None,
        "gate": gate | changes.pop("gate", {}),
        "usage": Usage(32, 10, 10, None),
        "stand_in": True,
    }
    return CoverageReport(**(values | changes))


def synthesis_record(**changes):
    values = {
        "task": "support_triage",
        "round": 2,
        "requested": 20,
        "generated": 22,
        "kept": 18,
        "surplus": 0,
        "dropped": {"duplicate": 3, "form": 1, "leak": 0},
        "total_rows": 4,
        "train_rows": 3,
        "eval_rows": 1,
        "rows_by_round": {1: 2, 2: 2},
        "seed_weights": {"seed-1": 1.0, "seed-2": 1.0},
        "usage": Usage(5, 10, 10, None),
        "generator": DataGenerator(provider="gemini", model="stand-in", prompt_versions={}),
        "stand_in": True,
    }
    return SynthesisRecord(**(values | changes))


def training_record(**changes):
    values = {
        "preset": "packaged:gemma3-270m",
        "dtype": "float32",
        "steps": 40,
        "losses": (1.0, 0.5),
        "eval_losses": (),
        "eval_loss_before": None,
        "eval_loss": None,
        "best_step": 40,
        "tokens": 81234,
        "tokens_per_second": 1402.3,
        "trainable_weights": 737280,
        "hparams": UsedHParams(epochs=3, lora_rank=8),
        "train_rows": 3,
        "eval_rows": 1,
        "rows_too_long": 2,
        "seconds": 121.7,
    }
    return TrainingRecord(**(values | changes))


def loop_summary(artifacts, best_round, *, training=None, config=None):
    """A loop that made those artifacts, one round each."""
    same = rate(3, 4, 30.1, 95.4)
    rounds = [
        RoundSummary(
            round=number,
            run_id=f"run-{number}",
            seconds=1.0,
            started_from=None,
            synthesis=synthesis_record(round=number),
            training=training or training_record(),
            report=coverage_report({"tuned": rates(same, same, same)}, round=number),
            pushed=None,
            components=(),
            artifacts=of_round,
        )
        for number, of_round in enumerate(artifacts, 1)
    ]
    return LoopSummary(
        name="support-triage",
        task="support_triage",
        created="2026-11-29T07:00:00+00:00",
        stop_reason=None,
        best_round=best_round,
        seconds=2.0,
        usage=Usage(),
        stand_in=True,
        rounds=rounds,
        versions={},
        config=config or {},
    )


def synthetic_row(id, prompt, *, round=1, nearest=None, attributes=None, scores=None):
    """A row of the synthetic data; `nearest` is the id of a coverage row and the similarity."""
    provenance = Provenance(
        seed_ids=("seed-1",),
        like_seed="seed-1",
        attributes=attributes or {},
        scores=scores or {},
        round=round,
        generator=RowGenerator(provider="gemini", model="stand-in-1", code_version="abc"),
        prompt_versions={"answer": "v1"},
        nearest_coverage=nearest and NearestCoverage(id=nearest[0], similarity=nearest[1]),
    )
    return SyntheticRow(id, prompt, "{}", provenance.to_json(), round)
