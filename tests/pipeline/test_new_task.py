"""From nothing to a configuration that a run accepts, as a new user goes."""

import json
import re

import pytest
import yaml

import local_runner
from pipeline.config import load_config
from pipeline.new_task import SERVICES

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ROWS = [
    {"id": f"r{i}", "prompt": f"Say {i} in words", "output": word, "tags": ["short"]}
    for i, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")

    def run(*arguments):
        status = local_runner.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


@pytest.fixture
def pairs(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_a_new_task_is_filled_in_and_passes_the_check(run, tmp_path):
    assert run("init", "my_task")[0] == 0
    status, said = run("check", "--preset", "my_task.yaml")
    assert status == 2
    assert "3 texts are still to be written" in said
    assert "task.instruction" in said
    (tmp_path / "data/coverage/my_task/pairs.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in ROWS)
    )
    preset = tmp_path / "my_task.yaml"
    preset.write_text(re.sub(r"REPLACE THIS:[^\n]*", "Numbers in words.", preset.read_text()))
    status, said = run("check", "--preset", "my_task.yaml")
    assert status == 0
    assert re.search(r"10 pairs: \d seed, \d holdout; tags: short\.", said)
    assert re.search(r"95 % interval of \d\d points", said)
    assert "Few rows" in said


@pytest.mark.parametrize("service", SERVICES)
def test_the_preset_is_one_that_loads(run, pairs, tmp_path, service):
    assert run("init", "numbers", "--service", service, "--pairs", pairs)[0] == 0
    # The project of Google Cloud is the one thing that its preset cannot know.
    project = ["service_llm.vertex_project=mine"] if service == "gemini-vertex" else []
    config = load_config("numbers.yaml", project)
    assert config.name == "numbers"
    assert config.task.name == "numbers"
    assert config.coverage_dir == "data/coverage/numbers"
    assert config.output_dir == "output/numbers"
    assert config.service_llm == load_config(service, project).service_llm
    assert yaml.safe_load((tmp_path / "numbers.yaml").read_text())["extends"] == service


def test_given_pairs_are_copied_as_they_are(run, pairs, tmp_path):
    run("init", "numbers", "--pairs", pairs)
    assert (tmp_path / "data/coverage/numbers/pairs.jsonl").read_bytes() == pairs.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My Task"], r"'My Task' cannot be a task's name.*my_task"),
        (["a", "--pairs", "none.jsonl"], r"no file 'none\.jsonl'"),
        (["a", "--pairs", "a.txt"], r"no file 'a\.txt'.*jsonl or \*\.csv"),
    ],
    ids=["name", "missing", "format"],
)
def test_mistakes_leave_nothing_behind(run, tmp_path, arguments, message):
    (tmp_path / "a.txt").write_text("x")
    status, said = run("init", *arguments)
    assert status == 2
    assert re.search(message, said)
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt"}


def test_nothing_is_overwritten(run, tmp_path):
    run("init", "mine")
    preset = tmp_path / "mine.yaml"
    preset.write_text("extends: gemini\n")
    status, said = run("init", "mine")
    assert status == 2
    assert "is not overwritten" in said
    assert preset.read_text() == "extends: gemini\n"


def test_a_missing_key_is_told(run, pairs, monkeypatch, tmp_path):
    run("init", "numbers", "--pairs", pairs)
    preset = tmp_path / "numbers.yaml"
    preset.write_text(re.sub(r"REPLACE THIS:[^\n]*", "Numbers in words.", preset.read_text()))
    monkeypatch.delenv("GEMINI_API_KEY")
    status, said = run("check", "--preset", "numbers.yaml")
    assert status == 2
    assert "GEMINI_API_KEY" in said
