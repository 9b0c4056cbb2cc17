"""The estimate against what the stand-in is really asked, and what the command prints."""

import dataclasses
import json
import math
import re

import pytest

import local_runner
from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.estimate import ExpectedLogged, expected_missing
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.generate import generate, propose_attributes
from components.synth_data_gen.requests import RequestBuilder
from core.records import TEST_SPLIT, ResponseRow
from core.usage import Usage
from judging import requests as evaluation_requests
from judging.evaluate import evaluate
from judging.judged_rows import judged_rows
from judging.report import describe_judge
from pipeline.config import load_config
from pipeline.estimate import estimate_last_look, estimate_logged_scores, estimate_round
from pipeline.lengths import measure
from pipeline.machine_time import Speed, answering_of, round_minutes
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
    sample = judged_rows(judged, config.evaluator.max_baseline_prompts)
    base = responses(sample, lambda n: False)
    base = [dataclasses.replace(row, response=row.prompt[:90]) for row in base]
    few_shot = [dataclasses.replace(row, response=row.prompt[:80]) for row in base]
    # The share of answers that were judged before is the estimate's own assumption: one half.
    first = responses(judged, lambda n: n % 2)
    second = [
        row if number % 2 else dataclasses.replace(row, response=f"{row.response}, again")
        for number, row in enumerate(first)
    ]
    used, expected, attributes = Usage(), Usage(), None
    with serve() as server:
        monkeypatch.setenv("UNDERSTUDY_STANDIN_URL", server.url)
        for number, tuned in enumerate((first, second), start=1):
            attributes, usage = generation(config, rows, attributes, round=number, journal=journal)
            used += usage
            models = {"tuned": tuned, "base": base, "few_shot": few_shot}
            used += evaluation(config, models, round=number, journal=journal)
            expected += estimate_round(config, rows, number).total.usage
    assert expected.calls == pytest.approx(used.calls, rel=CLOSE)
    assert expected.prompt_tokens == pytest.approx(used.prompt_tokens, rel=CLOSE)
    assert expected.output_tokens == pytest.approx(used.output_tokens, rel=CLOSE)


def test_settings_change_what_is_estimated():
    def calls(*overrides, round=1):
        config = load_config("gemini", ["coverage_dir=data/coverage/smoke", *overrides])
        rows = read_coverage(config.coverage_dir)
        return estimate_round(config, rows, round).total.usage.calls

    rows, votes = 10, 2
    # Attributes, requests for prompts (8 in each, a tenth too many), answers, and their checks.
    asked = 1 + 28 + 200 + 200
    assert calls() == asked + rows + votes * (rows + 2 * rows + rows // 2)
    assert calls(round=2) == asked - 1 + votes * rows // 2
    assert calls("synth.samples=3") - calls() == 400
    assert calls() - calls("synth.quality_filter=false") == 200
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
        return estimate_round(config, rows, 1).total.usage.calls

    arguments = ("--preset", "gemini", "--set", f"coverage_dir={tmp_path}")
    assert local_runner.main(["check", *arguments, "--set", "evaluator.max_prompts=50"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Answered and judged are 50 of 375 " in said
    assert "a 95 % interval of 22 points" in said
    assert calls(100) - calls(50) == 2 * 2 * 50, "two splits, two votes"
    assert calls(400) == calls(500), "all"


def test_of_the_untuned_models_answers_only_a_sample_is_estimated():
    def calls(sample):
        config = load_config("offline", [f"evaluator.max_baseline_prompts={sample}"])
        return estimate_round(config, read_coverage(config.coverage_dir), 1).total.usage.calls

    # Two models, two splits, two votes for each response.
    assert calls(60) - calls(50) == 2 * 2 * 2 * 10


def test_vectors_are_part_of_the_estimate(capsys):
    name = "{provider: gemini, model: gemini-embedding-001, api_key_env: GEMINI_API_KEY}"

    def usage(*overrides, round=1):
        config = load_config("gemini", ["coverage_dir=data/coverage/smoke", *overrides])
        return estimate_round(config, read_coverage(config.coverage_dir), round).total.usage

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


def test_the_minutes_of_training_and_generation_on_this_machine_are_printed(capsys, monkeypatch):
    speed = Speed(1000.0, 50.0, "as measured here")
    monkeypatch.setattr("pipeline.estimate.machine_speed", lambda config: speed)
    settings = ["coverage_dir=data/coverage/smoke", "rounds.max_rounds=3"]
    arguments = [part for setting in settings for part in ("--set", setting)]

    def printed():
        assert local_runner.main(["estimate", "--preset", "offline", *arguments]) == 0
        said = " ".join(capsys.readouterr().out.split())
        found = re.search(
            r"On this machine come on top, in minutes: round 1 training ([\d.]+) and generation "
            r"([\d.]+); round 3 training ([\d.]+) and generation ([\d.]+); all ([\d.]+) \(as m",
            said,
        )
        return [float(figure) for figure in found.groups()]

    config = load_config("offline", settings)
    rows = read_coverage(config.coverage_dir)
    lengths, answering = measure(config, rows), answering_of(config, rows)
    rounds = [
        round_minutes(config, lengths, speed, number, answering=answering) for number in (1, 2, 3)
    ]
    shown = printed()
    assert shown == pytest.approx([*rounds[0], *rounds[2], sum(map(sum, rounds))], abs=0.06)
    assert shown[2] > shown[0] > 1, "the rows of all rounds are trained on"
    assert shown[1] > shown[3] > 0, "the untuned model answers once"
    speed = Speed(500.0, 50.0, "as measured here")
    assert printed()[0] > 1.5 * shown[0]


@pytest.mark.parametrize("reason", ["it has a GPU", "the size of ours is not in its name"])
def test_minutes_that_are_not_known_are_said_to_be(reason, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.estimate.machine_speed", lambda config: reason)
    assert local_runner.main(["estimate", "--preset", "smoke"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Training and generation on this machine come on top: {reason}." in said


def test_an_unknown_price_is_told(capsys):
    arguments = ["estimate", "--preset", "gemini", "--set", "service_llm.model=gemini-99"]
    assert local_runner.main([*arguments, "--set", "service_llm.budget_usd=null"]) == 0
    printed = capsys.readouterr().out
    assert "unknown" in printed.splitlines()[1]
    assert "service_llm.price" in printed


def test_limits_of_tokens_and_days_lengthen_the_run():
    def minutes(*overrides):
        config = load_config("gemini", ["coverage_dir=data/coverage/smoke", *overrides])
        return estimate_round(config, read_coverage(config.coverage_dir), 1).total

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


def logged_like(rows, count, **changes):
    """Logged exchanges with the texts and tags of coverage rows, in turn."""
    return [
        dataclasses.replace(rows[n % len(rows)], id=f"log-{n}", split="logged", **changes)
        for n in range(count)
    ]


def test_the_leak_judge_costs_a_request_for_every_prompt_and_logged_rows_save_theirs():
    judge = {"provider": "openai", "model": "gpt-5-mini", "api_key_env": "OPENAI_API_KEY"}
    overrides = [f"judge={json.dumps(judge)}", "synth.rows_per_round=100", "synth.samples=1"]
    config = load_config("gemini", overrides)
    rows = read_coverage(config.coverage_dir)

    def calls(round, logged=0, **synth):
        synth = {"score_logged": False} | synth
        changed = config.model_copy(update={"synth": config.synth.model_copy(update=synth)})
        return estimate_round(changed, rows, round, logged_like(rows, logged)).total.usage

    plain, judged = calls(1), calls(1, leak_judge=True)
    assert judged.calls == plain.calls + 100
    assert judged.cost_usd > plain.cost_usd
    mixed, logged = calls(1, logged=60), calls(1, logged=2000)
    assert plain.calls - mixed.calls >= 50, "half of the rows are not generated"
    assert plain.calls - logged.calls >= 100 + 100 / config.synth.prompts_per_request
    assert calls(2, logged=2000) == calls(2), "later rounds generate as always"
    assert calls(1, logged=2000, leak_judge=True).calls == logged.calls + 2000


def test_scores_of_logged_rows_are_estimated_by_their_own_texts_and_can_be_left_out():
    overrides = ["coverage_dir=data/coverage/smoke", "synth.rows_per_round=100"]
    config = load_config("gemini", overrides)
    rows = read_coverage(config.coverage_dir)

    def usage(logged, round=1, **synth):
        changed = config.model_copy(update={"synth": config.synth.model_copy(update=synth)})
        return estimate_round(changed, rows, round, logged).synthesis.usage

    logged = logged_like(rows, 1000, tags=())
    scored, unscored = usage(logged), usage(logged, score_logged=False)
    assert (scored.calls, unscored.calls) == (1000, 0)
    assert scored.cost_usd > unscored.cost_usd == 0
    assert usage(logged, quality_filter=False).calls == 0
    assert usage(logged, round=2).calls == usage([], round=2).calls, "the first round reads them"
    longer = [dataclasses.replace(row, prompt=row.prompt * 50) for row in logged]
    added = sum(len(row.prompt) * 49 for row in logged)
    per_token = added / (usage(longer).prompt_tokens - scored.prompt_tokens)
    assert 2 < per_token < 6, "characters a token"
    assert estimate_logged_scores(config, rows, logged) == scored
    broken = [dataclasses.replace(row, output="no JSON") for row in logged[::2]]
    assert usage([*logged[1::2], *broken]).calls == 500, "what breaks the form is never scored"
    # 54 of 60 pass: 46 are generated, each with an answer and a score.
    some, none = (usage(logged[:60], score_logged=score).calls for score in (True, False))
    assert some - none == 60
    assert none == 1 + math.ceil(46 / 0.9 / config.synth.prompts_per_request) + 46 + 46


def test_a_kind_that_logged_rows_lack_is_estimated_as_generated():
    config = load_config("gemini", ["synth.rows_per_round=100", "synth.score_logged=false"])
    rows = read_coverage(config.coverage_dir)
    builder = RequestBuilder(config.task, config.synth, b"0" * 32, rows)
    seeds = [dataclasses.replace(row, tags=(f"kind-{n % 2}",)) for n, row in enumerate(rows)]
    builder = dataclasses.replace(builder, seeds=seeds)

    def missing(logged):
        return expected_missing(builder, ExpectedLogged(len(logged), logged))

    assert missing(logged_like(seeds[::2], 500)) == 50
    assert missing(logged_like(seeds, 500)) == 0
    assert missing([]) == 100
