"""From nothing to a configuration that a run accepts, as a new user goes."""

import dataclasses
import itertools
import json
import re
import shutil

import pytest
import yaml

import local_runner
from core.captured import CapturedExchange
from pipeline.config import load_config
from pipeline.scaffold import SERVICES
from task.coverage.logged import read_logged, write_logged
from tests.service_llm.conftest import ScriptedServer
from tests.task.importers.examples import CHATS
from tests.task.importers.examples import ROWS as ROWS_OF
from tests.task.test_json_cells import export as langfuse_csv

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
    assert "3 placeholders have not been replaced" in said
    assert "task.instruction" in said
    assert run("estimate", "--preset", "my_task.yaml") == (2, said)
    (tmp_path / "data/coverage/my_task/pairs.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in ROWS)
    )
    preset = tmp_path / "my_task.yaml"
    preset.write_text(re.sub(r"REPLACE THIS:[^\n]*", "Numbers in words.", preset.read_text()))
    status, said = run("check", "--preset", "my_task.yaml")
    assert status == 0
    assert re.search(r"10 pairs: \d seed, \d holdout; tags: short \(10\)\.", said)
    assert re.search(r"95 % interval of \d\d points", said)
    assert "holdout rows: use at least 40 (about 80 pairs in all)" in said


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


def rows_written(tmp_path):
    text = (tmp_path / "data/coverage/numbers/pairs.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_given_pairs_are_read_checked_and_split_at_once(run, pairs, tmp_path):
    status, said = run("init", "numbers", "--pairs", pairs)
    assert status == 0
    assert "10 pairs read as prompt and output from mine.jsonl (JSON, utf-8)." in said
    assert "10 rows: 5 seed, 5 holdout." in said
    written = rows_written(tmp_path)
    assert [row["id"] for row in written] == [row["id"] for row in ROWS]
    assert [row["prompt"] for row in written] == [row["prompt"] for row in ROWS]
    assert run("check", "--preset", "numbers.yaml")[0] == 2  # the instruction is left


def test_a_chat_export_is_a_task_that_passes_the_check(run, tmp_path):
    """The shared system message, of any form, becomes the instruction."""
    system = "  Answer in words:\n- 'one', not \"1\"\n\ttabs: too # and marks {x}"
    chats = [
        {
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["output"]},
            ],
            "team": "north" if number % 2 else "south",
            "ticket_number": f"T{number}",
        }
        for number, row in enumerate(ROWS)
    ]
    (tmp_path / "export.json").write_text(json.dumps(chats))
    status, said = run("init", "numbers", "--pairs", "export.json")
    assert status == 0
    assert "Columns used as tags: team." in said
    assert "Columns ignored: ticket_number." in said
    assert "system message that all pairs share" in said
    assert load_config("numbers.yaml").task.instruction.strip() == system.strip()
    assert run("check", "--preset", "numbers.yaml")[0] == 0


EXPORTS = {
    "langfuse.csv": langfuse_csv(ROWS_OF["langfuse"]),
    "langsmith.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS_OF["langsmith"]),
    "helicone.json": "[\n"
    + "".join(json.dumps(r, indent=1) + ",\n" for r in ROWS_OF["helicone"])
    + "]",
    "otel.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS_OF["opentelemetry"]),
    "excel.txt": "sep=\t\r\nNr\tprompt\toutput\t\r\n"
    + "".join(f'{n}\t"{q}"\t{a}\t\r\n' for n, (q, a) in enumerate(CHATS)),
    "frame.json": json.dumps(
        {
            name: {str(n): pair[side] for n, pair in enumerate(CHATS)}
            for side, name in enumerate(("prompt", "output"))
        }
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_as_its_tool_writes_it_is_checked_and_estimated(run, tmp_path, name):
    encoding = "utf-16" if name == "excel.txt" else "utf-8"
    (tmp_path / name).write_bytes(EXPORTS[name].encode(encoding))
    status, said = run("init", "numbers", "--pairs", name)
    assert status == 0, said
    assert f"{len(CHATS)} pairs read as" in said
    assert [(row["prompt"], row["output"]) for row in rows_written(tmp_path)] == CHATS
    preset = tmp_path / "numbers.yaml"
    preset.write_text(re.sub(r"REPLACE THIS:[^\n]*", "Sort it.", preset.read_text()))
    for command in ("check", "estimate"):
        status, said = run(command, "--preset", "numbers.yaml")
        assert status == 0, said
    assert "all 5 rounds" in said


def test_columns_can_be_named(run, tmp_path):
    lines = ["ticket;verdict", *(f"{row['prompt']};{row['output']}" for row in ROWS)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    status, said = run("init", "numbers", "--pairs", "table.csv")
    assert status == 2
    assert "--prompt-field NAME --output-field NAME" in said
    fields = ["--prompt-field", "ticket", "--output-field", "verdict"]
    assert run("init", "numbers", "--pairs", "table.csv", *fields)[0] == 0
    assert [row["output"] for row in rows_written(tmp_path)] == list(WORDS)


def test_a_sample_of_many_pairs_is_taken(run, tmp_path):
    rows = [{"prompt": f"Say {n} in words", "output": str(n)} for n in range(300)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, said = run("init", "numbers", "--pairs", "many.jsonl", "--sample", "20")
    assert status == 0
    assert re.search(r"Sampled 20 of 300 pairs", said)
    assert "Likeness to the whole" in said
    written = rows_written(tmp_path)
    assert len(written) == 20
    assert sum(row["split"] == "holdout" for row in written) == 10


def test_a_sample_is_picked_by_the_embedder_of_a_preset(run, tmp_path):
    rows = [{"prompt": f"Say {n} to ada{n}@example.org", "output": str(n)} for n in range(30)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served = ScriptedServer()
    served.respond = lambda body, number: (
        200,
        {
            "object": "list",
            "model": "local",
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0, number]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        },
    )
    (tmp_path / "by.yaml").write_text(
        f"""extends: gemini
privacy: {{redact: true}}
embedder:
  provider: openai
  model: local
  base_url: {served.url}/v1
  requests_per_minute: 60000
"""
    )
    sampled = ["--pairs", "many.jsonl", "--sample", "6", "--embedder", "by.yaml"]
    status, said = run("init", "numbers", *sampled)
    assert status == 0
    assert "Embedding 30 prompts with local …" in said
    assert "Embedded: 90 tokens, at an unknown price." in said
    assert "by embeddings." in said
    assert len(rows_written(tmp_path)) == 6
    assert len(served.bodies) == 30
    assert all("[EMAIL_1]" in body["input"][0] for body in served.bodies)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "numbers.yaml").unlink()
    assert run("init", "numbers", *sampled)[0] == 0
    served.close()
    assert len(served.bodies) == 30  # vectors are in the journal of output/numbers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--embedder", "gemini"], r"give --pairs PATH and --sample N with it"),
        (
            ["--pairs", "a.jsonl", "--sample", "2", "--embedder", "gemini"],
            r"--embedder 'gemini' names a preset without an 'embedder' section",
        ),
    ],
    ids=["no sample", "no embedder"],
)
def test_an_embedder_that_cannot_be_used_is_told(run, tmp_path, arguments, message):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a", "output": "b"}\n')
    status, said = run("init", "numbers", *arguments)
    assert status == 2
    assert re.search(message, said)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My Task"], r"'My Task' cannot be a task's name.*my_task"),
        (["a", "--pairs", "none.jsonl"], r"no file or folder 'none\.jsonl'"),
        (["a", "--pairs", "a.txt", "--sample", "1"], r"has no row"),
        (["a", "--pairs", "a.txt"], r"No row of 'a\.txt' can be used:\n *a\.txt left out"),
    ],
    ids=["name", "missing", "sample", "format"],
)
def test_mistakes_leave_nothing_behind(run, tmp_path, arguments, message):
    (tmp_path / "a.txt").write_text("x")
    status, said = run("init", *arguments)
    assert status == 2
    assert re.search(message, said)
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt"}


def test_too_few_pairs_are_answered_with_the_rows_that_were_refused(run, tmp_path):
    (tmp_path / "few.jsonl").write_text(
        '{"prompt": "a", "output": "b"}\n{"prompt": "c"}\nnot json\n'
    )
    status, said = run("init", "mine", "--pairs", "few.jsonl")
    assert status == 2
    assert "1 distinct prompt is too few" in said
    assert said.count("1 row refused") == 2
    assert "few.jsonl, line 2" in said
    assert "few.jsonl, line 3" in said


def test_what_is_left_to_do_after_an_import_is_the_preset(run, pairs):
    assert "Fill them in, then: understudy check --preset mine.yaml" in run("init", "mine")[1]
    said = run("init", "numbers", "--pairs", pairs)[1]
    assert "Complete numbers.yaml, then: understudy check --preset numbers.yaml" in said


def test_nothing_is_overwritten(run, tmp_path):
    run("init", "mine")
    preset = tmp_path / "mine.yaml"
    preset.write_text("extends: gemini\n")
    status, said = run("init", "mine")
    assert status == 2
    assert "already exists. Choose another name" in said
    assert preset.read_text() == "extends: gemini\n"


def test_a_missing_key_is_told(run, pairs, monkeypatch, tmp_path):
    run("init", "numbers", "--pairs", pairs)
    preset = tmp_path / "numbers.yaml"
    preset.write_text(re.sub(r"REPLACE THIS:[^\n]*", "Numbers in words.", preset.read_text()))
    monkeypatch.delenv("GEMINI_API_KEY")
    status, said = run("check", "--preset", "numbers.yaml")
    assert status == 2
    assert "GEMINI_API_KEY" in said


def captured(number, **more):
    values = {
        "schema_version": 1,
        "id": f"e{number}",
        "time": f"2026-11-01T00:{number % 60:02}:00.000Z",
        "task": "numbers",
        "protocol": "gemini",
        "stream": False,
        "session": f"user {number // 2}",
        "messages": [
            {"role": "system", "text": "Say it in words."},
            {"role": "user", "text": f"{WORDS[number % 10]} {WORDS[number // 10]} of {number}"},
        ],
        "service": {
            "text": "yes", "status": 200, "milliseconds": 9.0, "first_byte_milliseconds": 9.0,
            "usage": None, "model_version": "x-1",
        },
        "model": None,
        "served_by": "service",
        "reason": "ok",
    }  # fmt: skip
    return CapturedExchange.from_json(json.dumps(values | more)).to_json() + "\n"


def test_a_sample_of_captured_exchanges_is_taken_and_the_rest_is_kept_to_train_on(run, tmp_path):
    folder = tmp_path / "output" / "serving" / "capture"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("".join(map(captured, range(50))))
    failed = captured(99, service=None, served_by="none", reason="model_failed")
    (folder / "b.jsonl").write_text("".join(map(captured, range(50, 98))) + failed)
    sampled = ["--pairs", folder, "--sample", 20, "--train-on-rest"]
    status, said = run("init", "numbers", *sampled)
    assert (status, bool(re.search(r"Sampled 20 of 98 pairs", said))) == (0, True), said
    written, rest = rows_written(tmp_path), read_logged("data/coverage/numbers")
    assert (len(written), {row["output"] for row in written}) == (20, {"yes"})
    prompts = {row["prompt"] for row in written}
    assert rest
    assert not {row.prompt for row in rest} & prompts
    assert all("of 99" not in row.prompt for row in rest)
    assert load_config("numbers.yaml").synth.train_on_rest


def test_the_rest_of_a_sample_is_kept_to_train_on(run, tmp_path):
    rows = [
        {"prompt": f"{word} {other} of {n}", "output": "yes", "session": f"s{n // 2}"}
        for n, (word, other) in enumerate(itertools.product(WORDS, WORDS))
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sampled = ["init", "numbers", "--pairs", "log.jsonl", "--train-on-rest"]
    status, said = run(*sampled)
    assert status == 2
    assert "--train-on-rest needs --sample N" in said
    status, said = run(*sampled, "--sample", 20)
    assert status == 0
    rest = read_logged("data/coverage/numbers")
    assert f"{len(rest)} further pairs to train on." in said
    coverage = rows_written(tmp_path)
    assert not {row.prompt for row in rest} & {row["prompt"] for row in coverage}
    assert {row.split for row in rest} == {"logged"}
    sessions = {row["prompt"]: row["session"] for row in rows}
    held = {sessions[row["prompt"]] for row in coverage if row["split"] == "holdout"}
    assert held.isdisjoint(sessions[row.prompt] for row in rest)
    assert load_config("numbers.yaml").synth.train_on_rest
    preset = tmp_path / "numbers.yaml"
    preset.write_text(re.sub(r"REPLACE THIS:[^\n]*", "Answer yes.", preset.read_text()))
    status, said = run("check", "--preset", "numbers.yaml")
    assert status == 0
    assert f"{len(rest)} logged exchanges to train on" in said
    said = " ".join(said.split())
    assert f"at most {len(rest)} requests" in said
    assert "synth.score_logged=false leaves that out" in said
    assert "do not fit the form" not in said
    assert "Personal data: none found" in said
    write_logged(
        tmp_path / "data/coverage/numbers",
        [*rest, dataclasses.replace(rest[0], id="mail", prompt="I am ada@example.org")],
    )
    status, said = run("check", "--preset", "numbers.yaml")
    assert "1 EMAIL in 1 row (mail)" in said
    (tmp_path / "data/coverage/numbers/train_on_rest.jsonl").unlink()
    status, said = run("check", "--preset", "numbers.yaml")
    assert status == 2
    assert "synth.train_on_rest is set, but" in said
