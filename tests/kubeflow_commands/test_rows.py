"""Rows of a folder that the image holds a copy of."""

import json
from pathlib import Path

import pytest

from pipeline.placeholders import TO_REPLACE
from task.coverage.persisted import persist_splits
from task.coverage.split_file import SPLITS_FILE, read_splits

STARTS = [["submit"], ["schedule", "--cron=0 3 * * 1"], ["run", "--detach"]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Makes a folder with rows where the image would hold it."""
    monkeypatch.chdir(tmp_path)

    def make(*rows, name="mine", count=160):
        folder = Path("data/coverage", name)
        folder.mkdir(parents=True)
        plain = [{"prompt": f"row {n}", "output": "x"} for n in range(count)]
        text = "".join(f"{json.dumps(row)}\n" for row in (*plain, *rows))
        (folder / "rows.jsonl").write_text(text, encoding="utf-8")
        return folder

    return make


def values(folder, **more):
    return {"coverage_dir": str(folder), "vertex__enable_caching": "false", **more}


@pytest.mark.parametrize("command", STARTS)
def test_an_image_from_before_there_were_splits_is_refused(run, cloud, command, folder):
    mine = folder()
    status, _, errors = run(*command, **values(mine))
    assert status == 2
    assert "Run `understudy check` with the same --preset and --set, then build" in errors
    assert not cloud.jobs
    assert not cloud.schedules
    assert not (mine / SPLITS_FILE).exists(), "no row became seed or holdout for good"


@pytest.mark.parametrize("command", STARTS)
def test_splits_that_were_kept_before_the_image_was_built_are_taken(run, command, folder):
    mine = folder()
    persist_splits(str(mine))
    kept = (mine / SPLITS_FILE).read_bytes()
    status, _, errors = run(*command, **values(mine))
    assert status == 0, errors
    assert (mine / SPLITS_FILE).read_bytes() == kept
    assert "test" in read_splits(kept, SPLITS_FILE).values()


@pytest.mark.parametrize("command", STARTS)
def test_without_a_test_split_there_is_nothing_to_keep_first(run, command, folder):
    status, _, errors = run(*command, **values(folder(), splits__test_percent="0"))
    assert status == 0, errors


def test_a_loop_in_flight_goes_on_when_rows_were_added(run, cloud, folder):
    mine = folder()
    persist_splits(str(mine))
    assert run("run", "--detach", **values(mine))[0] == 0
    kept = (mine / SPLITS_FILE).read_bytes()
    more = [{"prompt": f"later {n}", "output": "x"} for n in range(40)]
    (mine / "more.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in more))
    status, _, errors = run("run", "--detach", **values(mine))
    assert status == 0, errors
    assert len(cloud.jobs) == 1
    assert (mine / SPLITS_FILE).read_bytes() == kept, "the job judges none of the new rows"


def test_the_splits_are_kept_though_the_reply_to_a_start_is_lost(run, cloud, folder):
    """The job is there, and judges the rows; nobody would know it at the resume."""
    mine = folder(count=40)
    kept = []
    cloud.on_create = lambda job: kept.append((mine / SPLITS_FILE).read_bytes())
    assert run("run", "--detach", **values(mine))[0] == 0
    assert len(read_splits(kept[0], SPLITS_FILE)) == 40


@pytest.mark.parametrize("command", [["compile", "--output=job.json"], *STARTS])
def test_a_placeholder_is_told_before_anything_is_sent(run, cloud, command, folder):
    mine = folder({"prompt": f"{TO_REPLACE}: a prompt", "output": "x"}, count=16)
    status, _, errors = run(*command, **values(mine))
    assert status == 2
    assert "1 placeholder has not been replaced" in errors
    assert not cloud.requests


def test_a_prompt_text_that_some_rows_are_not_asked_with_is_told_before_anything_is_sent(
    run, cloud, folder
):
    several = {"prompt": "several", "output": "x", "references": ["y"]}
    mine = folder(several, count=16)
    Path("judge.jinja").write_text("{{ task }}{{ prompt }}{{ answer_a }}{{ answer_b }}")
    status, _, errors = run("run", **values(mine, evaluator__prompts__judge="judge.jinja"))
    assert status == 2
    assert "evaluator.prompts.judge is a prompt text of your own" in errors
    assert not cloud.requests


def test_limits_follow_the_rows_of_the_folder_that_a_parameter_names(run, cloud, folder):
    long = {"prompt": "word " * 1500, "output": "x"}
    short, other = folder(count=16), folder(long, name="other", count=16)
    for arguments in ([], [f"--parameter=coverage_dir={other}"]):
        status, _, errors = run("submit", *arguments, **values(short))
        assert status == 0, errors
    known = [
        job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"] for job in cloud.jobs.values()
    ]
    training = [json.loads(parameters["training"]["defaultValue"]) for parameters in known]
    assert training[0]["sequence_length"] < training[1]["sequence_length"]


@pytest.mark.parametrize("command", STARTS[:2])
def test_a_budget_of_a_loop_is_said_to_stop_no_single_round(run, command):
    values = {"vertex__enable_caching": "false"}
    status, told, _ = run(*command, rounds__budget_usd="5", **values)
    assert status == 0
    assert "Warning: rounds.budget_usd=5" in told
    assert "budget_usd" not in run(*command, **values)[1]
