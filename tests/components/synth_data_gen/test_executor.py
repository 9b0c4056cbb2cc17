import contextlib
import dataclasses
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tfx.types.standard_artifacts import Examples

from components import asking
from components.examples_io import read_examples, shard_path, write_examples, write_shard
from components.synth_data_gen import executor
from components.synth_data_gen.settings import SynthSettings
from core.errors import UserError
from core.reports.synthesis import SynthesisRecord
from core.usage import Usage
from pipeline.pipeline import LOCAL_BEAM_ARGS
from service_llm.settings import ServiceLLMSettings
from tests.evaluation import verdict
from tests.html_page import Page

SAMPLES = ["round", "source", "prompt", "output", "attributes"]


@pytest.fixture(scope="module")
def coverage(tmp_path_factory, seeds, holdout):
    artifact = Examples()
    artifact.uri = str(tmp_path_factory.mktemp("coverage"))
    rows = {
        split: [
            {"id": row.id, "prompt": row.prompt, "output": row.output, "tags": json.dumps(row.tags)}
            for row in of_split
        ]
        for split, of_split in (("seed", seeds), ("holdout", holdout))
    }
    write_examples(artifact, rows, span=0)
    return artifact


@contextlib.contextmanager
def served(make_service):
    """The executor with a service LLM that sends nothing."""
    fake = make_service()
    fake.salt = lambda: b"1" * 32
    fake.usage = lambda: Usage(len(fake.requests), 10, 20, 0.5)
    fake.opened = []

    @contextlib.contextmanager
    def open_fake(settings, **where):
        fake.opened.append(where)
        yield fake

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asking, "open_service_llm", open_fake)
        yield fake


def execute(coverage, task, folder, round=1, name="", history="", report="", **settings):
    artifact = Examples()
    artifact.uri = str(folder / (name or f"synthetic-{round}"))
    properties = {
        "service_llm": ServiceLLMSettings(
            provider="gemini", model="stand-in-1", api_key_env="A_KEY"
        ).model_dump_json(),
        "settings": SynthSettings(**({"rows_per_round": 30} | settings)).model_dump_json(),
        "task": task.model_dump_json(),
        "journal_uri": "the journal",
        "round": round,
        "history_uri": history,
        "report_uri": report,
        "code_version": "abc",
    }
    context = executor.Executor.Context(beam_pipeline_args=list(LOCAL_BEAM_ARGS))
    executor.Executor(context).Do({"coverage": [coverage]}, {"synthetic": [artifact]}, properties)
    return artifact


class Rounds(NamedTuple):
    first: Any
    second: Any
    third: Any
    service: Any
    pipelines: list[int]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory, coverage, make_service, task):
    """Three rounds; `pipelines` counts those of Beam after each."""
    folder = tmp_path_factory.mktemp("rounds")
    make = executor.Executor._make_beam_pipeline
    made, artifacts, pipelines = [], [], []

    def counted(self):
        made.append(make(self))
        return made[-1]

    with served(make_service) as service, pytest.MonkeyPatch.context() as patched:
        patched.setattr(executor.Executor, "_make_beam_pipeline", counted)
        history = ""
        for number in (1, 2, 3):
            artifacts.append(execute(coverage, task, folder, number, history=history))
            history = artifacts[-1].uri
            pipelines.append(len(made))
    return Rounds(*artifacts, service, pipelines)


@pytest.fixture
def service(make_service):
    with served(make_service) as fake:
        yield fake


@pytest.fixture
def run(tmp_path, coverage, service, task):
    def run(round=1, **options):
        return execute(coverage, task, tmp_path, round, **options)

    return run


def rows_of(artifact):
    return {split: read_examples(artifact.uri, split) for split in ("train", "eval")}


def beside(artifact, name):
    return (Path(artifact.uri) / name).read_text(encoding="utf-8")


def test_a_second_round_adds_to_the_first_and_changes_none_of_its_rows(rounds):
    before, after = rows_of(rounds.first), rows_of(rounds.second)
    for split in ("train", "eval"):
        assert after[split][: len(before[split])] == before[split]
    rows = after["train"] + after["eval"]
    assert len(rows) == 60
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 60
    assert [row["round"] for row in rows].count(2) == 30
    summary = json.loads(beside(rounds.second, "synthesis.json"))
    assert summary["rows_by_round"] == {"1": 30, "2": 30}
    assert summary["total_rows"] == summary["train_rows"] + summary["eval_rows"] == 60


def test_shards_of_the_rounds_before_are_taken_over_byte_by_byte(rounds):
    for split in ("train", "eval"):
        before, after = (
            sorted(Path(artifact.uri, f"Split-{split}").iterdir())
            for artifact in (rounds.second, rounds.third)
        )
        assert [path.name for path in after] == [
            f"data_tfrecord-0000{n}-of-00003.gz" for n in range(3)
        ]
        assert [p.read_bytes() for p in before] == [p.read_bytes() for p in after[:2]]
    assert not list(Path(rounds.third.uri).glob(".*")), "no scratch file is left"


def test_reading_and_writing_run_on_beam(rounds):
    assert rounds.pipelines == [2, 4, 6], "one that reads and one that writes, in each round"


def test_the_same_round_run_again_writes_the_same_rows(run, rounds):
    assert rows_of(run(1)) == rows_of(rounds.first)


def test_the_artifact_can_be_read_by_data_validation(rounds):
    import tensorflow_data_validation as tfdv

    statistics = tfdv.generate_statistics_from_tfrecord(f"{rounds.first.uri}/Split-train/*")
    features = {f.path.step[0]: f for f in statistics.datasets[0].features}
    assert set(features) == {"id", "prompt", "output", "provenance", "round"}
    assert statistics.datasets[0].num_examples == len(rows_of(rounds.first)["train"])


def test_the_summary_accounts_for_every_prompt(rounds):
    summary = json.loads(beside(rounds.third, "synthesis.json"))
    assert summary["requested"] == (
        summary["kept"] + summary["surplus"] + sum(summary["dropped"].values())
    )
    usage = dataclasses.asdict(rounds.service.usage())
    assert summary["usage"] == json.loads(json.dumps(usage))
    assert summary["stand_in"] is True


def test_provenance_names_generator_prompt_versions_and_code(rounds):
    provenance = json.loads(rows_of(rounds.first)["train"][0]["provenance"])
    assert provenance["generator"] == {
        "provider": "gemini",
        "model": "stand-in-1",
        "code_version": "abc",
        "prompt_model_version": "",
        "output_model_version": "",
    }
    assert provenance["prompt_versions"]["answer"] == "v3"
    assert len(provenance["seed_ids"]) == 12, "all of a dozen seeds"


def test_attributes_are_proposed_once_and_kept_for_later_rounds(rounds):
    assert len(rounds.service.sent("AttributeSets")) == 1
    assert beside(rounds.third, "attributes.yaml") == beside(rounds.first, "attributes.yaml")


def test_edited_attributes_take_the_place_of_proposed_ones(run, rounds, service):
    edited = yaml.safe_load(beside(rounds.first, "attributes.yaml"))["attributes"]
    edited["tone"] = ["solemn"]
    rows = rows_of(run(1, attributes=edited))["train"]
    tones = {json.loads(row["provenance"])["attributes"]["tone"] for row in rows}
    assert tones == {"solemn"}
    assert service.sent("AttributeSets") == []


def test_nothing_of_the_holdout_is_sent_or_written(run, rounds, service, holdout, tmp_path):
    """Not even where every row of it failed in the last evaluation."""
    report = verdicts(tmp_path, dict.fromkeys(holdout, False))
    artifact = run(2, history=rounds.first.uri, report=report, quality_filter=True, aim=True)
    requests = [*rounds.service.requests, *service.requests]
    assert {request.schema.__name__ for request in requests} == {
        "AttributeSets", "ProposedPrompts", "Answer", "QualityScore",
    }  # fmt: skip
    assert "zebra" not in "\n".join(f"{request.system}\n{request.prompt}" for request in requests)
    for name in ("README.md", "index.html", "quarantine.jsonl", "synthesis.json"):
        assert "zebra" not in beside(artifact, name)


def verdicts(folder, covered):
    """A report on these rows."""
    lines = [
        verdict(row, "tuned", right, response=row.output if right else "{}").to_json()
        for row, right in covered.items()
    ]
    report = folder / "report"
    report.mkdir()
    (report / "verdicts.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return str(report)


def test_generation_aims_at_the_seeds_that_failed(run, service, seeds, tmp_path):
    report = verdicts(tmp_path, {seed: seed.id != "seed-4" for seed in seeds})

    def share(artifact):
        likes = [json.loads(r["provenance"])["like_seed"] for r in rows_of(artifact)["train"]]
        return likes.count("seed-4") / len(likes)

    options = {"aim": True, "aim_floor": 0.1, "examples_per_request": 1, "prompts_per_request": 1}
    aimed = run(2, name="aimed", report=report, **options)
    uniform = run(2, name="uniform", report=report, **options | {"aim": False})
    assert share(aimed) > 2 * share(uniform)
    weights = json.loads(beside(aimed, "synthesis.json"))["seed_weights"]
    assert max(weights, key=weights.get) == "seed-4"


def test_a_report_without_verdicts_is_an_error_that_says_what_to_do(run, tmp_path):
    with pytest.raises(UserError, match=r"verdicts.jsonl.*aim"):
        run(2, report=str(tmp_path / "nowhere"), aim=True)


def test_dropped_rows_are_quarantined_with_the_reason(run, service, seeds, reply):
    def leaky(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            value["messages"][0]["message"] = seeds[3].prompt.upper()
        return value

    service._reply = leaky
    entries = [json.loads(line) for line in beside(run(1), "quarantine.jsonl").splitlines()]
    leaks = [entry for entry in entries if entry["reason"] == "leak"]
    assert leaks
    assert all(entry["nearest_id"] == "seed-3" and entry["detail"] for entry in leaks)


def test_the_journal_knows_the_component_and_the_round(rounds):
    assert rounds.service.opened == [
        {"journal_uri": "the journal", "component": "SynthDataGen", "round": number}
        for number in (1, 2, 3)
    ]


def test_logged_exchanges_become_rows_and_every_page_shows_both_kinds(
    coverage, service, task, tmp_path, seeds
):
    folder = tmp_path / "coverage"
    shutil.copytree(coverage.uri, folder)
    with_logged = Examples()
    with_logged.uri = str(folder)
    rows = [
        {
            "id": f"log-{n}",
            "prompt": f"Order {n * 7919 % 10007} for Oslo: part {n} came on day {n}",
            "output": json.dumps({"city": "Oslo", "urgent": False}),
            "tags": json.dumps(["even", "odd"]),
        }
        for n in range(12)
    ]
    write_shard(shard_path(with_logged.uri, "logged", 0, 1), [*rows, {**rows[0], "id": "leak",
        "prompt": seeds[1].prompt}])  # fmt: skip
    options = {"train_on_rest": True, "near_duplicate_similarity": 0.99}
    first = execute(with_logged, task, tmp_path, **options)
    made = [row for split in rows_of(first).values() for row in split]
    sources = Counter(json.loads(row["provenance"])["source"] for row in made)
    assert sources == {"logged": 12, "generated": 18}
    assert len(service.sent("Answer")) == 18, "what is missing of 30, and nothing else"
    record = SynthesisRecord.read(f"{first.uri}/synthesis.json")
    assert record.sources == sources
    assert (record.kept, record.logged.kept, record.logged.dropped) == (18, 12, {"leak": 1})
    assert record.requested == record.kept + record.surplus + record.dropped_total
    bars = [bar.rows for bar in record.funnel]
    assert bars[:2] == [record.requested, record.generated]
    assert bars == sorted(bars, reverse=True)
    assert bars[-2:] == [record.kept] * 2, "nothing is lost without a reason"
    assert "12 were kept" in beside(first, "README.md")
    kinds = beside(first, "index.html").partition("Where the rows come from")[2].partition("</ul>")
    bars = re.findall(r"<li><span>(\w+)</span>.*?<b>(\d+)</b>", kinds[0])
    assert sorted(bars) == [("generated", "18"), ("logged", "12")]
    page = Page(beside(first, "index.html")).rows
    sampled = Counter(row[1] for row in page[page.index(SAMPLES) + 1 :])
    assert set(sampled) == {"logged", "generated"}
    assert "| `generated` | 18 |" in beside(first, "README.md")
    assert "| `logged` | 12 |" in beside(first, "README.md")
    assert "<b>13</b> logged exchanges read" in beside(first, "index.html")
    assert "The service LLM scored them like generated rows." in beside(first, "index.html")
    assert "12 were kept; the service LLM scored them, too." in beside(first, "README.md")
    unscored = execute(with_logged, task, tmp_path, name="u", score_logged=False, **options)
    assert not SynthesisRecord.read(f"{unscored.uri}/synthesis.json").logged.scored
    assert "The service LLM did not score them." in beside(unscored, "index.html")
    assert "12 were kept; no service LLM scored them." in beside(unscored, "README.md")
    entries = [json.loads(line) for line in beside(first, "quarantine.jsonl").splitlines()]
    assert [entry["nearest_id"] for entry in entries if entry["source"] == "logged"] == ["seed-1"]
    second = execute(with_logged, task, tmp_path, 2, history=first.uri, **options)
    record = SynthesisRecord.read(f"{second.uri}/synthesis.json")
    assert (record.sources, record.logged) == ({"logged": 12, "generated": 48}, None)
    with pytest.raises(UserError, match=r"no logged exchanges.*--train-on-rest"):
        execute(coverage, task, tmp_path, name="none", **options)
