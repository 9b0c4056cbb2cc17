"""Lengths are counted as the model counts them; rows that cannot fit stop a run before it pays."""

import dataclasses
import json

import pytest

from core.records import CoverageRow
from pipeline.check import check_task
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
    assert ("downloads nothing" in said) != is_own


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
