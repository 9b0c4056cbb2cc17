import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from tfx.types.standard_artifacts import Examples

from components.errors import UserError
from components.examples_io import read_examples, write_examples
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Usage
from components.synth_data_gen import executor
from components.synth_data_gen.settings import SynthSettings
from pipeline.pipeline import LOCAL_BEAM_ARGS


@pytest.fixture
def coverage(tmp_path, seeds, holdout):
    artifact = Examples()
    artifact.uri = str(tmp_path / "coverage")
    rows = {
        split: [
            {"id": row.id, "prompt": row.prompt, "output": row.output, "tags": json.dumps(row.tags)}
            for row in of_split
        ]
        for split, of_split in (("seed", seeds), ("holdout", holdout))
    }
    write_examples(artifact, rows, span=0)
    return artifact


@pytest.fixture
def service(make_service, monkeypatch):
    fake = make_service()
    fake.salt = lambda: b"1" * 32
    fake.usage = lambda: Usage(len(fake.requests), 10, 20, 0.5)
    opened = []

    @contextlib.contextmanager
    def open_fake(settings, **where):
        opened.append(where)
        yield fake

    monkeypatch.setattr(executor, "open_service_llm", open_fake)
    fake.opened = opened
    return fake


@pytest.fixture
def run(tmp_path, coverage, service, task):
    def run(round=1, name="", history="", report="", model="g", **settings):
        artifact = Examples()
        artifact.uri = str(tmp_path / (name or f"synthetic-{round}"))
        properties = {
            "service_llm": ServiceLLMSettings(
                provider="gemini", model=model, api_key_env="A_KEY"
            ).model_dump_json(),
            "settings": SynthSettings(**({"rows_per_round": 30} | settings)).model_dump_json(),
            "task": task.model_dump_json(),
            "journal_uri": str(tmp_path / "journal"),
            "round": round,
            "history_uri": history,
            "report_uri": report,
            "code_version": "abc",
        }
        context = executor.Executor.Context(beam_pipeline_args=list(LOCAL_BEAM_ARGS))
        executor.Executor(context).Do(
            {"coverage": [coverage]}, {"synthetic": [artifact]}, properties
        )
        return artifact

    return run


def rows_of(artifact):
    return {split: read_examples(artifact.uri, split) for split in ("train", "eval")}


def beside(artifact, name):
    return (Path(artifact.uri) / name).read_text(encoding="utf-8")


def test_a_second_round_adds_to_the_first_and_changes_none_of_its_rows(run):
    first = run(1)
    second = run(2, history=first.uri)
    before, after = rows_of(first), rows_of(second)
    for split in ("train", "eval"):
        assert after[split][: len(before[split])] == before[split]
    rows = after["train"] + after["eval"]
    assert len(rows) == 60
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 60
    assert [row["round"] for row in rows].count(2) == 30
    summary = json.loads(beside(second, "synthesis.json"))
    assert summary["rows_by_round"] == {"1": 30, "2": 30}
    assert summary["total_rows"] == summary["train_rows"] + summary["eval_rows"] == 60


def test_shards_of_the_rounds_before_are_taken_over_byte_by_byte(run):
    first = run(1)
    second = run(2, history=first.uri)
    third = run(3, history=second.uri)
    for split in ("train", "eval"):
        before, after = (
            sorted(Path(artifact.uri, f"Split-{split}").iterdir()) for artifact in (second, third)
        )
        assert [path.name for path in after] == [
            f"data_tfrecord-0000{n}-of-00003.gz" for n in range(3)
        ]
        assert [p.read_bytes() for p in before] == [p.read_bytes() for p in after[:2]]
    assert not list(Path(third.uri).glob(".*")), "no scratch file is left"


def test_reading_and_writing_run_on_beam(run, monkeypatch):
    pipelines = []
    make = executor.Executor._make_beam_pipeline

    def counted(self):
        pipelines.append(make(self))
        return pipelines[-1]

    monkeypatch.setattr(executor.Executor, "_make_beam_pipeline", counted)
    first = run(1)
    assert len(pipelines) == 2, "one that reads the coverage, one that writes"
    run(2, history=first.uri)
    assert len(pipelines) == 5, "and one that reads the history"


def test_the_same_round_run_again_writes_the_same_rows(run):
    assert rows_of(run(1)) == rows_of(run(1, name="again"))


def test_the_artifact_can_be_read_by_data_validation(run):
    import tensorflow_data_validation as tfdv

    artifact = run(1)
    statistics = tfdv.generate_statistics_from_tfrecord(f"{artifact.uri}/Split-train/*")
    features = {f.path.step[0]: f for f in statistics.datasets[0].features}
    assert set(features) == {"id", "prompt", "output", "provenance", "round"}
    assert statistics.datasets[0].num_examples == len(rows_of(artifact)["train"])


def test_the_summary_accounts_for_every_prompt(run, service):
    summary = json.loads(beside(run(1, model="stand-in-1"), "synthesis.json"))
    assert summary["requested"] == (
        summary["kept"] + summary["surplus"] + sum(summary["dropped"].values())
    )
    assert summary["usage"] == dataclasses.asdict(service.usage())
    assert summary["stand_in"] is True


def test_provenance_names_generator_prompt_versions_and_code(run):
    provenance = json.loads(rows_of(run(1))["train"][0]["provenance"])
    assert provenance["generator"] == {
        "provider": "gemini",
        "model": "g",
        "code_version": "abc",
        "prompt_model_version": "",
        "output_model_version": "",
    }
    assert provenance["prompt_versions"]["answer"] == "v1"
    assert len(provenance["seed_ids"]) == 6


def test_attributes_are_proposed_once_and_kept_for_later_rounds(run, service):
    first = run(1)
    second = run(2, history=first.uri)
    assert len(service.sent("AttributeSets")) == 1
    assert beside(second, "attributes.yaml") == beside(first, "attributes.yaml")


def test_edited_attributes_take_the_place_of_proposed_ones(run, service):
    edited = yaml.safe_load(beside(run(1), "attributes.yaml"))["attributes"]
    edited["tone"] = ["solemn"]
    rows = rows_of(run(1, name="edited", attributes=edited))["train"]
    tones = {json.loads(row["provenance"])["attributes"]["tone"] for row in rows}
    assert tones == {"solemn"}
    assert len(service.sent("AttributeSets")) == 1


def test_nothing_of_the_holdout_is_sent_or_written(run, service, holdout):
    report = Path(service_report(run, holdout))
    artifact = run(2, history=run(1).uri, report=str(report), quality_filter=True)
    sent = "\n".join(f"{request.system}\n{request.prompt}" for request in service.requests)
    assert service.sent("AttributeSets")
    assert "zebra" not in sent
    for name in ("README.md", "index.html", "quarantine.jsonl", "synthesis.json"):
        assert "zebra" not in beside(artifact, name)


def service_report(run, holdout):
    """A report in which every holdout row failed."""
    folder = Path(run(1, name="reported").uri)
    lines = [
        {"id": row.id, "split": row.split, "model": "tuned", "covered": False, "scored": True,
         "tags": [], "prompt": row.prompt}
        for row in holdout
    ]  # fmt: skip
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_generation_aims_at_the_seeds_that_failed(run, service, seeds, tmp_path):
    lines = [
        {"id": seed.id, "split": "seed", "model": "tuned", "covered": seed.id != "seed-4",
         "scored": True}
        for seed in seeds
    ]  # fmt: skip
    report = tmp_path / "report"
    report.mkdir()
    (report / "verdicts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def share(artifact):
        likes = [json.loads(r["provenance"])["like_seed"] for r in rows_of(artifact)["train"]]
        return likes.count("seed-4") / len(likes)

    options = {"aim_floor": 0.1, "examples_per_request": 1, "prompts_per_request": 1}
    aimed = run(2, name="aimed", report=str(report), **options)
    uniform = run(2, name="uniform", report=str(report), aim=False, **options)
    assert share(aimed) > 2 * share(uniform)
    weights = json.loads(beside(aimed, "synthesis.json"))["seed_weights"]
    assert max(weights, key=weights.get) == "seed-4"


def test_a_report_without_verdicts_is_an_error_that_says_what_to_do(run, tmp_path):
    with pytest.raises(UserError, match=r"verdicts.jsonl.*aim"):
        run(2, report=str(tmp_path / "nowhere"))


def test_dropped_rows_are_quarantined_with_the_reason(run, service, seeds, reply):
    def leaky(request):
        value = reply(request)
        if request.schema.__name__ == "ProposedPrompts":
            value["prompts"][0] = seeds[3].prompt.upper()
        return value

    service._reply = leaky
    entries = [json.loads(line) for line in beside(run(1), "quarantine.jsonl").splitlines()]
    leaks = [entry for entry in entries if entry["reason"] == "leak"]
    assert leaks
    assert all(entry["near"] == "seed-3" and entry["detail"] for entry in leaks)


def test_the_journal_knows_the_component_and_the_round(run, service, tmp_path):
    run(3)
    assert service.opened == [
        {"journal_uri": str(tmp_path / "journal"), "component": "SynthDataGen", "round": 3}
    ]
