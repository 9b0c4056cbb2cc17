"""Lengths are counted as the model counts them; rows that cannot fit stop a run before it pays."""

import dataclasses
import json

import pytest

from core.records import CoverageRow
from pipeline import estimate
from pipeline.check import check_task
from pipeline.cli import local
from pipeline.cli.main import main
from pipeline.config import load_config
from pipeline.lengths import cut_rows, limits, measure, with_limits

ROWS = [
    CoverageRow(f"r{n}", f"What is {n}?", f"It is {'very ' * n}much.", "seed") for n in range(12)
]


def config(*overrides):
    return load_config("gemini", overrides, environ={})


def test_limits_that_are_not_set_follow_the_longest_row_with_head_room():
    lengths = measure(config(), ROWS)
    found = limits(config(), lengths)
    assert max(lengths.outputs) < found.max_output_tokens < max(lengths.outputs) * 1.25 + 32
    assert max(lengths.totals) < found.sequence_length == 512, "short rows have room for others"
    longer = [dataclasses.replace(ROWS[0], output="a right answer " * 400)]
    longest = max(measure(config(), longer).totals)
    assert longest * 1.25 <= limits(config(), measure(config(), longer)).sequence_length
    filled = with_limits(config(), ROWS)
    assert filled.training.sequence_length == found.sequence_length
    assert filled.generation.max_output_tokens == found.max_output_tokens


def test_tokens_of_prompts_and_outputs_are_printed_with_the_limits_that_hold_them(tmp_path):
    """`hello` is one token; the template puts nine around it, the end of the turn is one."""
    texts = [" ".join(["hello"] * count) for count in (1, 2, 2, 3, 7)]
    rows = ({"id": f"r{n}", "prompt": t, "output": f"{t} hello"} for n, t in enumerate(texts))
    # A prompt is there once: the second of the two becomes another right answer.
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = check_task(config(f"coverage_dir={tmp_path}", "training.preset=packaged:gemma3-270m"))
    assert (
        "Token lengths, counted with the tokenizer of packaged:gemma3-270m: prompts 10 to 16, "
        "median 12 with the chat template; outputs 3 to 9, median 5 with the end of the turn."
    ) in said
    assert (
        "Limit of a row: training.sequence_length 512, the least that a run takes by itself: new "
        "rows may be longer, and unused room is free; the longest row here has 25."
    ) in said
    assert (
        "Limit of a response: generation.max_output_tokens 32, the longest one here plus a "
        "quarter, rounded up to a multiple of 32; the longest output here has 9."
    ) in said
    own = ("training.sequence_length=600", "generation.max_output_tokens=40")
    said = check_task(config(f"coverage_dir={tmp_path}", *own))
    assert "training.sequence_length 600, as set; the longest row here has 25." in said
    assert "generation.max_output_tokens 40, as set; the longest output here has 9." in said


def test_explicit_limits_win():
    own = config("training.sequence_length=777", "generation.max_output_tokens=99")
    assert with_limits(own, ROWS) == own


def test_a_few_tokens_more_change_no_limit():
    more = [*ROWS[:-1], CoverageRow("r11", "What is 111?", ROWS[-1].output + " Yes.", "seed")]
    assert with_limits(config(), more) == with_limits(config(), ROWS)


@pytest.mark.parametrize(
    ("preset", "is_own"),
    [("packaged:gemma3-270m", True), ("hf://google/gemma-3-1b-it", True), ("gemma2_2b_en", False)],
)
def test_a_tokenizer_that_is_not_here_refuses_nothing(preset, is_own, tmp_path):
    cut = config(f"training.preset={preset}", "generation.max_output_tokens=8")
    lengths = measure(cut, ROWS)
    assert lengths.is_own == is_own
    rows = "".join(json.dumps({"prompt": row.prompt, "output": row.output}) + "\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(rows)
    said = check_task(cut.model_copy(update={"coverage_dir": str(tmp_path)}))
    assert ("downloads none" in said) != is_own


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            "generation.max_output_tokens=12",
            "rows do not fit generation.max_output_tokens (12 tokens)",
        ),
        ("training.sequence_length=100", "rows do not fit training.sequence_length (100 tokens)"),
    ],
)
def test_a_run_refuses_rows_that_cannot_fit_before_anything_is_asked(
    setting, problem, tmp_path, capsys
):
    settings = ("--set", setting, "--set", f"output_dir={tmp_path / 'output'}")
    assert main(["run", "--preset", "offline", *settings]) == 2
    refused = capsys.readouterr().err
    assert problem in refused
    assert "to null, which takes the rows' own length, or to" in refused
    assert not (tmp_path / "output").exists()
    assert main(["check", "--preset", "offline", *settings]) == 2
    checked = capsys.readouterr()
    assert checked.err == refused
    assert "One row as the model reads it" in checked.out


def test_rows_are_measured_without_the_personal_data_that_a_run_takes_out(tmp_path, capsys):
    key = "sk-" + "aZ9" * 200
    rows = [{"id": f"r{n}", "prompt": f"Key {n} is {key}{n}", "output": "yes"} for n in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = (
        *("--set", f"coverage_dir={tmp_path}", "--set", f"output_dir={tmp_path / 'output'}"),
        *("--set", "training.sequence_length=100"),
    )
    for command in ("check", "run"):
        assert main([command, "--preset", "offline", *settings]) == 2
        assert "8 of 8 rows do not fit training.sequence_length" in capsys.readouterr().err
    assert main(["check", "--preset", "offline", *settings, "--set", "privacy.redact=true"]) == 0


@pytest.fixture
def with_keys(tmp_path):
    """The settings of a run that takes a key out of every prompt."""
    key = "sk-" + "aZ9" * 200
    rows = [{"id": f"r{n}", "prompt": f"Key {n} is {key}{n}", "output": "yes"} for n in range(8)]
    (tmp_path / "rows").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows" / "rows.jsonl").write_text(lines)
    overrides = [f"coverage_dir={tmp_path / 'rows'}", f"output_dir={tmp_path / 'output'}"]
    return [*overrides, "privacy.redact=true"]


def test_a_run_estimates_the_rows_that_it_measured(with_keys, monkeypatch):
    seen = []
    monkeypatch.setattr(local, "_run_rounds", lambda config, rows, paths: seen.extend(rows))
    local.run(preset="offline", overrides=with_keys, say=print)
    assert len(seen) == 8
    assert not any("aZ9" in row.prompt for row in seen)


def test_the_command_estimates_rows_without_personal_data(with_keys, monkeypatch):
    seen = []
    measured = estimate.measure
    monkeypatch.setattr(estimate, "measure", lambda c, rows: seen.extend(rows) or measured(c, rows))
    local.estimate(preset="offline", overrides=with_keys, say=print)
    assert len(seen) == 8
    assert not any("aZ9" in row.prompt for row in seen)


def test_a_row_is_shown_as_the_model_reads_it(tmp_path):
    lines = ({"id": f"r{n}", "prompt": f"p{n}\nq", "output": "yes"} for n in range(6))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    said = check_task(config(f"coverage_dir={tmp_path}"))
    shown = said.partition("as the model reads it (r")[2]
    assert "<bos><start_of_turn>user\n  | p" in shown
    assert "\n  | q<end_of_turn>\n  | <start_of_turn>model\n  | yes<end_of_turn>\n" in shown


@pytest.mark.parametrize("override", [(), ("--set", "training.sequence_length=131072")])
def test_a_row_longer_than_the_models_context_is_refused_by_name(override, tmp_path, capsys):
    rows = [{"id": f"r{n}", "prompt": f"What is {n}?", "output": "yes"} for n in range(12)]
    rows.append({"id": "whole-book", "prompt": "word " * 100_000, "output": "yes"})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ("--set", f"coverage_dir={tmp_path}", "--set", f"output_dir={tmp_path / 'output'}")
    for command in ("check", "run"):
        assert main([command, "--preset", "offline", *settings, *override]) == 2
        refused = capsys.readouterr().err
        assert "packaged:gemma3-270m reads at most 32,768 tokens, prompt and output" in refused
        assert "1 row has more: whole-book (100,0" in refused
        assert "Shorten or delete it." in refused
        assert "sequence_length to null" not in refused
    assert not (tmp_path / "output").exists()


def test_head_room_ends_at_the_models_context():
    long = [dataclasses.replace(ROWS[0], prompt="word " * 30_000), *ROWS[1:]]
    lengths = measure(config(), long)
    assert limits(config(), lengths).sequence_length == 32_768
    assert cut_rows(config(), long, lengths) == []


def test_rows_that_no_limit_holds_and_rows_that_another_limit_holds_are_said_apart():
    rows = [
        dataclasses.replace(ROWS[0], id="huge", prompt="word " * 50_000),
        dataclasses.replace(ROWS[1], id="long", prompt="word " * 1_000),
        *ROWS[2:],
    ]
    own = config("training.sequence_length=200", "generation.max_output_tokens=99")
    hopeless, cut = cut_rows(own, rows, measure(own, rows))
    assert "huge" in hopeless
    assert "long" not in hopeless
    assert "1 of 12 rows do not fit training.sequence_length (200 tokens): long" in cut
