"""CoverageExampleGen and SynthDataGen as TFX runs them: a pause with edits, and logged rows."""

import json
import shutil
from pathlib import Path

import pytest

from components.examples_io import read_examples
from core.reports.synthesis import SynthesisRecord
from core.synthetic_records import SYNTHETIC_SPLITS, SyntheticRow
from pipeline.config import load_config
from pipeline.local.output_dir import OutputPaths
from pipeline.local.pauses import PausedError
from pipeline.local.run import LocalRounds, RoundUris
from pipeline.local.standin_server import standin_if_wanted
from service_llm.journal.journal import Journal
from task.coverage.logged import write_logged
from task.coverage.reader import read_coverage
from tests.components.synth_data_gen.logged_rows import logged_rows

SMOKE = Path(__file__).parents[3] / "data" / "coverage" / "smoke"
FIRST = RoundUris()


@pytest.fixture
def make_rounds(tmp_path):
    def make(*overrides):
        output = tmp_path / "output"
        config = load_config("smoke", [f"output_dir={output}", *overrides], environ={})
        return config, LocalRounds(config, OutputPaths(output))

    return make


def calls(rounds):
    journal = Journal(str(rounds.paths.journal))
    try:
        return journal.usage("SynthDataGen", 1).calls
    finally:
        journal.close()


def rows_of(uri):
    return [
        SyntheticRow.from_features(row)
        for split in SYNTHETIC_SPLITS
        for row in read_examples(uri, split)
    ]


def test_a_paused_round_goes_on_with_the_edited_rows_and_asks_for_nothing_twice(make_rounds):
    config, rounds = make_rounds("rounds.pause_after=synth", "privacy.redact=true")
    again = "run the same command again"
    with standin_if_wanted(config), pytest.raises(PausedError, match=again):
        rounds.submit(1, "", "")
    asked = calls(rounds)
    assert asked > 0
    file = rounds.paths.review / "round-1" / "rows.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    lines[0]["output"] = lines[1]["output"]
    del lines[2]
    lines.append({"prompt": "I am ada@example.org", "output": lines[1]["output"]})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    # No service is there any more: whatever was asked of one would fail.
    paused = rounds.run(1, FIRST, until="synth")
    assert paused.nodes["SynthDataGen"].cached
    edits = rounds.edits(1, paused)
    edited = rounds.run(1, FIRST, until="synth", edits=edits)
    assert calls(rounds) == asked
    uri = edited.output("SynthDataGen", "synthetic").uri
    rows = rows_of(uri)
    assert {(row.prompt, row.output) for row in rows} == {
        (line["prompt"].replace("ada@example.org", "[EMAIL_1]"), line["output"]) for line in lines
    }
    by_id = {row.id: row.origin for row in rows}
    assert by_id[lines[0]["id"]].edited_by_person
    assert [origin.source for origin in by_id.values()].count("person") == 1
    record = SynthesisRecord.read(f"{uri}/synthesis.json")
    assert record.edits.model_dump() == {"edited": 1, "deleted": 1, "added": 1}
    assert record.total_rows == len(lines)
    assert record.requested == record.kept + record.surplus + record.dropped_total
    assert "A person has edited 1" in Path(uri, "index.html").read_text(encoding="utf-8")
    again = rounds.run(1, FIRST, until="synth", edits=edits)
    assert again.nodes["SynthDataGen"].cached


@pytest.mark.parametrize("count", [2000, 10], ids=["enough", "a mix"])
def test_logged_exchanges_become_rows_and_only_what_is_missing_is_generated(
    make_rounds, tmp_path, count
):
    coverage = tmp_path / "coverage"
    shutil.copytree(SMOKE, coverage)
    seeds = [row for row in read_coverage(str(coverage)) if row.split == "seed"]
    write_logged(coverage, logged_rows(seeds, count))
    config, rounds = make_rounds(
        f"coverage_dir={coverage}",
        "synth.train_on_rest=true",
        "synth.score_logged=false",  # the rows of this test are not what the service would answer
        # Where there are enough rows no service is there, so that a request would fail.
        *(["service_llm.base_url=http://127.0.0.1:9"] if count == 2000 else []),
    )
    with standin_if_wanted(config):
        run = rounds.run(1, FIRST, until="synth")
    uri = run.output("SynthDataGen", "synthetic").uri
    record = SynthesisRecord.read(f"{uri}/synthesis.json")
    assert record.logged.read == count
    assert record.logged.kept + sum(record.logged.dropped.values()) == count
    assert record.logged.kept >= 0.95 * count, record.logged.dropped
    generated = max(0, config.synth.rows_per_round - record.logged.kept)
    assert record.sources == {"logged": record.logged.kept} | (
        {"generated": generated} if generated else {}
    )
    assert (calls(rounds) == record.usage.calls == record.requested == 0) == (count == 2000)
    assert len(rows_of(uri)) == record.total_rows
    assert {row.origin.source for row in rows_of(uri)} == set(record.sources)
