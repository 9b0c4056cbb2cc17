"""Confidence from llama.cpp's server itself, with a real model of two layers."""

import asyncio

import pytest

from judging.settings import EvaluatorSettings
from serving.cutover.confidence import measure
from serving.cutover.scoring import open_scorer
from serving.preset import JudgingPreset
from tests.serving.conftest import preset_of as tiny_preset

pytestmark = pytest.mark.slow


def test_the_server_tells_log_probabilities_of_streamed_answers(run_folder):
    preset = tiny_preset(run_folder, confidence={"enabled": True, "right_percent": 50})
    judging = JudgingPreset(
        evaluator=EvaluatorSettings(gate={"scorer": "exact_match"}),
        judge=preset.settings.service,
        journal_uri=str(run_folder / "journal"),
    )
    preset = preset.model_copy(update={"judging": judging})
    with open_scorer(preset, "confidence") as scorer:
        report = asyncio.run(measure(preset, scorer))
    holdout = {row.id for row in preset.coverage if row.split == "holdout"}
    assert report.rows.keys() == holdout
    # It has memorized these answers: it is sure of them, but no probability is 1.
    assert all(-1.0 < row.confidence < 0.0 for row in report.rows.values())
    assert all(row.right for row in report.rows.values())
