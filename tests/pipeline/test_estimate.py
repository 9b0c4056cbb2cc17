"""The estimate against what the stand-in is really asked, and what the command prints."""

import dataclasses
import json

import pytest

import local_runner
from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.generate import generate, propose_attributes
from components.synth_data_gen.requests import RequestBuilder
from core.records import TEST_SPLIT, ResponseRow
from core.usage import Usage
from judging import requests as evaluation_requests
from judging.evaluate import evaluate
from judging.report import describe_judge
from pipeline.config import load_config
from pipeline.estimate import estimate_last_look, estimate_round
from service_llm.client import open_service_llm
from service_llm.pacing.limiter import USED_SHARE
from standin.server import serve
from task.coverage.reader import read_coverage
from task.form import infer_form

CLOSE = 0.1  # "within 10 %"


def generation(config, rows, attributes, *, round, journal):
    """Round `round` of SynthDataGen without its artifacts."""
    seeds = [row for row in rows if row.split == "seed"]
    with open_service_llm(
        config.service_llm, journal_uri=journal, component="SynthDataGen", round=round
    ) as llm:
        builder = RequestBuilder(config.task, config.synth, llm.salt(), seeds)
        attributes = attributes or propose_attributes(llm, builder)
        generate(
            llm,
            builder,
            PromptFilter(rows, [], config.synth, None),
            Answerer(llm, builder, infer_form([seed.output for seed in seeds])),
            weights=uniform_weights(seeds),
            attributes=attributes,
            round=round,
        )
        return attributes, llm.usage()


def responses(rows, right):
    """As desired where `right` says so, and wrong in another way everywhere else."""
    wrong = json.dumps({"category": "billing", "priority": "low", "product": "Orbit Doorbell"})
    return [
        ResponseRow(
            row.id,
            row.prompt,
            row.output,
            row.split,
            row.tags,
            row.output if right(number) else f"{wrong} {number}",
            "stop",
        )
        for number, row in enumerate(rows)
    ]


def evaluation(config, models, *, round, journal):
    with open_service_llm(
        config.judge_llm, journal_uri=journal, component="LLMEvaluator", round=round
    ) as llm:
        builder = evaluation_requests.RequestBuilder(config.task, config.evaluator, llm.salt())
        judge = describe_judge("gemini", "stand-in-1", config.evaluator)
        evaluate(models, llm, builder, described=judge)
        return llm.usage()


@pytest.mark.slow
def test_two_rounds_of_the_demo_use_what_was_estimated(tmp_path, monkeypatch):
    config = load_config("offline", ["synth.rows_per_round=520"])
    rows = read_coverage(config.coverage_dir)
    journal = str(tmp_path)
    judged = [
        row for row in rows if row.split != TEST_SPLIT
    ]  # those of a test split after the loop
    base = responses(judged, lambda n: False)
    base = [dataclasses.replace(row, response=row.prompt[:90]) for row in base]
    few_shot = [dataclasses.replace(row, response=row.prompt[:80]) for row in base]
    # The share of answers that were judged before is the estimate's own assumption: one half.
    first, second = responses(judged, lambda n: n % 2), responses(judged, lambda n: n % 4)
    used, expected, attributes = Usage(), Usage(), None
    with serve() as server:
        monkeypatch.setenv("UNDERSTUDY_STANDIN_URL", server.url)
        for number, tuned in enumerate((first, second), start=1):
            attributes, usage = generation(config, rows, attributes, round=number, journal=journal)
            used += usage
            models = {"tuned": tuned, "base": base, "few_shot": few_shot}
            used += evaluation(config, models, round=number, journal=journal)
            expected += estimate_round(config, rows, number).usage
    assert expected.calls == pytest.approx(used.calls, rel=CLOSE)
    assert expected.prompt_tokens == pytest.approx(used.prompt_tokens, rel=CLOSE)
    assert expected.output_tokens == pytest.approx(used.output_tokens, rel=CLOSE)


def test_settings_change_what_is_estimated():
    def calls(*overrides, round=1):
        config = load_config("gemini", ["coverage_dir=data/coverage/smoke", *overrides])
        rows = read_coverage(config.coverage_dir)
        return estimate_round(config, rows, round).usage.calls

    rows, votes = 10, 2
    asked = 1 + 28 + 200  # attributes, requests for prompts (8 in each, a tenth too many), answers
    assert calls() == asked + rows + votes * (rows + 2 * rows + rows // 2)
    assert calls(round=2) == asked - 1 + votes * rows // 2
    assert calls("synth.samples=3") - calls() == 400
    assert calls("synth.quality_filter=true") - calls() == 200
    assert calls("evaluator.baselines=[base]") == asked + votes * (rows + rows)
    assert calls("evaluator.baselines=[]") == asked + votes * rows


def test_of_many_prompts_only_those_that_are_judged_are_estimated(tmp_path, capsys):
    lines = ({"prompt": f"Question {n}?", "output": f"Answer {n}."} for n in range(1_000))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def calls(max_prompts):
        overrides = [f"coverage_dir={tmp_path}", f"evaluator.max_prompts={max_prompts}"]
        config = load_config("gemini", [*overrides, "evaluator.baselines=[]"])
        rows = read_coverage(config.coverage_dir)
        assert estimate_last_look(config, rows).usage.calls == 2 * min(max_prompts, 250)
        return estimate_round(config, rows, 1).usage.calls

    arguments = ("--preset", "gemini", "--set", f"coverage_dir={tmp_path}")
    assert local_runner.main(["check", *arguments, "--set", "evaluator.max_prompts=50"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Answered and judged are 50 of 375 " in said
    assert "a 95 % interval of 22 points" in said
    assert calls(100) - calls(50) == 2 * 2 * 50, "two splits, two votes"
    assert calls(400) == calls(500), "all"


def test_vectors_are_part_of_the_estimate(capsys):
    name = "{provider: gemini, model: gemini-embedding-001, api_key_env: GEMINI_API_KEY}"

    def usage(*overrides, round=1):
        config = load_config("gemini", ["coverage_dir=data/coverage/smoke", *overrides])
        return estimate_round(config, read_coverage(config.coverage_dir), round).usage

    rows, prompts = 10, 223  # a tenth of the prompts too many
    for number, texts in ((1, rows + prompts + rows + 3 * rows + rows // 2), (2, 228)):
        plain = usage(round=number)
        with_vectors = usage(f"embedder={name}", round=number)
        assert with_vectors.calls - plain.calls == texts
        tokens = with_vectors.prompt_tokens - plain.prompt_tokens
        assert with_vectors.cost_usd - plain.cost_usd == pytest.approx(tokens * 0.15e-6)
        assert with_vectors.output_tokens == plain.output_tokens
    assert local_runner.main(["estimate", "--preset", "gemini", "--set", f"embedder={name}"]) == 0
    assert "gemini-embedding-001" in capsys.readouterr().out


def test_the_command_prints_a_table_and_sends_nothing(capsys, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    assert local_runner.main(["estimate", "--preset", "gemini"]) == 0
    printed = capsys.readouterr().out
    first, later, total = (line.split() for line in printed.splitlines()[1:4])
    assert (first[:2], later[:3], total[:3]) == (
        ["round", "1"], ["every", "later", "round"], ["all", "5", "rounds"],
    )  # fmt: skip
    numbers = [
        [float(cell.replace(",", "")) for cell in line[-5:]] for line in (first, later, total)
    ]
    calls, prompt_tokens, output_tokens, cost, minutes = numbers[0]
    assert cost == pytest.approx(prompt_tokens * 0.30e-6 + output_tokens * 2.50e-6, abs=0.01)
    assert minutes == pytest.approx(calls / (300 * USED_SHARE), abs=0.1)
    assert numbers[2][0] == calls + 4 * numbers[1][0]


def test_an_unknown_price_is_told(capsys):
    arguments = ["estimate", "--preset", "gemini", "--set", "service_llm.model=gemini-99"]
    assert local_runner.main([*arguments, "--set", "service_llm.budget_usd=null"]) == 0
    printed = capsys.readouterr().out
    assert "unknown" in printed.splitlines()[1]
    assert "service_llm.price" in printed


def test_limits_of_tokens_and_days_lengthen_the_run():
    def minutes(*overrides):
        config = load_config("gemini", ["coverage_dir=data/coverage/smoke", *overrides])
        return estimate_round(config, read_coverage(config.coverage_dir), 1)

    plain = minutes()
    tight = minutes("service_llm.tokens_per_minute=10000")
    used = plain.usage.prompt_tokens + plain.usage.output_tokens
    assert tight.minutes == pytest.approx(used / 10000, rel=0.05)
    days = minutes("service_llm.requests_per_day=100")
    assert days.minutes >= 2 * 24 * 60


def test_a_coverage_folder_that_is_missing_is_told(capsys):
    status = local_runner.main(["estimate", "--set", "coverage_dir=/no/such/folder"])
    assert status == 2
    assert "/no/such/folder" in capsys.readouterr().err


def test_the_leak_judge_costs_a_request_for_every_prompt_and_logged_rows_save_theirs():
    judge = {"provider": "openai", "model": "gpt-5-mini", "api_key_env": "OPENAI_API_KEY"}
    overrides = [f"judge={json.dumps(judge)}", "synth.rows_per_round=100", "synth.samples=1"]
    config = load_config("gemini", overrides)
    rows = read_coverage(config.coverage_dir)

    def calls(round, logged=0, **synth):
        changed = config.model_copy(update={"synth": config.synth.model_copy(update=synth)})
        return estimate_round(changed, rows, round, logged).usage

    plain, judged = calls(1), calls(1, leak_judge=True)
    assert judged.calls == plain.calls + 100
    assert judged.cost_usd > plain.cost_usd
    mixed, logged = calls(1, logged=60), calls(1, logged=2000)
    assert plain.calls - mixed.calls >= 50, "half of the rows are not generated"
    assert plain.calls - logged.calls >= 100 + 100 / config.synth.prompts_per_request
    assert calls(2, logged=2000) == calls(2), "later rounds generate as always"
    assert calls(1, logged=2000, leak_judge=True).calls == logged.calls + 2000
