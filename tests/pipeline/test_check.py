"""`check` shows what was understood, for each preset as it is and for data as people have it."""

import json
import os
import re

import pytest
import yaml

from core.errors import UserError
from core.terminal import wrapped
from pipeline.check import check_task
from pipeline.cli.main import main
from pipeline.config import load_config
from pipeline.draft import load_draft
from pipeline.preset_files import preset_names

JSON_ROWS = [
    {
        "id": f"r{n}",
        "prompt": f"Message {n}",
        "output": json.dumps({"kind": "ab"[n % 2], "total": n}),
        "tags": [f"team:{n % 3}"],
    }
    for n in range(44)
]


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """What `check` says of rows, with settings."""
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")

    def checked(rows, *overrides):
        folder = tmp_path / "rows"
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(text, encoding="utf-8")
        return check_task(load_config("gemini", [f"coverage_dir={folder}", *overrides]))

    return checked


@pytest.mark.parametrize("command", ["check", "estimate"])
@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.usefixtures("no_network")
def test_a_shipped_preset_is_checked_as_it_is(command, preset, capsys, monkeypatch):
    for name in ("UNDERSTUDY_STANDIN_URL", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    if preset == "vertex":  # whose base model is on a hub
        monkeypatch.setattr("models.loading.available.check_preset", lambda preset: None)
    assert main([command, "--preset", preset]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80


def test_what_a_run_still_needs_is_the_last_line(capsys, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    assert main(["check", "--preset", "gemini"]) == 0
    assert "Before a run: GEMINI_API_KEY is not set" in capsys.readouterr().out
    monkeypatch.setattr("models.loading.available.check_preset", lambda preset: None)
    assert main(["check", "--preset", "vertex"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Before a run: Set service_llm.vertex_project, vertex.project, vertex.pipe" in said


@pytest.fixture
def no_network(monkeypatch):
    def connect(*arguments):
        raise AssertionError("check opened a connection")

    monkeypatch.setattr("socket.socket.connect", connect)


def test_number_split_and_tags_are_shown_and_the_split_is_kept(checked, tmp_path):
    said = checked(JSON_ROWS)
    assert "44 pairs: 22 seed, 22 holdout; tags: team:0 (15), team:1 (15), team:2 (14)." in said
    splits = tmp_path / "rows" / "splits.csv"
    kept = splits.read_text().splitlines()
    more = [row | {"id": f"x{row['id']}", "prompt": f"More {row['id']}"} for row in JSON_ROWS]
    checked([*JSON_ROWS, *more])
    assert splits.read_text().splitlines()[: len(kept)] == kept


def test_a_handful_of_rows_is_a_warning_with_the_width_of_the_interval(checked):
    said = checked(JSON_ROWS[:8])
    assert "8 pairs: 4 seed, 4 holdout" in said
    assert "Only 4 holdout rows: use at least 40" in said
    width = re.search(r"80 % on the holdout will have a 95 % interval of (\d+) points", said)
    assert int(width[1]) > 50


def test_the_form_is_printed_ready_to_paste(checked, tmp_path):
    said = checked(JSON_ROWS)
    pasted = re.search(r"^  (task:\n(?:    .*\n)+)", said, re.MULTILINE)[1]
    preset = tmp_path / "mine.yaml"
    preset.write_text(f"extends: gemini\n{pasted}    name: mine\n    instruction: x\n")
    schema = load_config(str(preset), [f"coverage_dir={tmp_path}"]).task.output_schema
    assert schema["properties"]["kind"]["enum"] == ["a", "b", None]
    given = checked(JSON_ROWS, f"task.output_schema={json.dumps(schema)}")
    assert "Form of the outputs: JSON, given (task.output_schema): kind (3 values)" in given


def test_each_row_that_does_not_fit_the_form_is_named(checked):
    rows = [*JSON_ROWS, {"id": "broken", "prompt": "x", "output": "{oops"}]
    said = checked([*rows, {"id": "odd", "prompt": "y", "output": '{"kind": 3, "total": 1}'}])
    assert "2 rows that do not fit the form:" in said
    assert re.search(r"^  broken: not JSON", said, re.MULTILINE)
    assert re.search(r"^  odd: \$\.kind", said, re.MULTILINE)
    assert "1 row that does not fit the form:" in checked(rows)


def test_rows_of_the_same_prompt_are_merged_and_counted(checked):
    again = [JSON_ROWS[0] | {"id": "again", "output": '{"kind": "b", "total": 7}'}, JSON_ROWS[1]]
    said = checked([*JSON_ROWS, *again])
    assert "44 pairs: 22 seed, 22 holdout" in said
    assert "2 rows repeated the prompt of another row: merged with it" in said
    assert "1 prompt has several right answers; a response counts by the best match." in said
    assert "right answers" not in checked(JSON_ROWS)


def test_a_language_of_a_single_seed_makes_no_row_a_misfit(capsys, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")
    assert main(["check", "--preset", "support-chat"]) == 0
    assert "do not fit the form" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "form"),
    [("A short text for {n}.", "free text"), ("SELECT a\n  FROM t{n};", "code")],
    ids=["text", "code"],
)
def test_forms_other_than_json_are_named(checked, output, form):
    rows = [{"prompt": f"p{n}", "output": output.format(n=n)} for n in range(9)]
    assert f"Form of the outputs: {form}" in checked(rows)


ENGLISH = "This is a short answer about the order that you sent to us, number {n}."
FORMS = {
    "labels": (
        ["billing", "shipping"],
        "one of the labels billing, shipping",
        "weather",
        "'weather' is not one of the labels in the seed outputs",
    ),
    "code": (
        ["SELECT a\n  FROM t{n};", "DELETE FROM t{n}\n WHERE a;"],
        "code, at most ",
        "SELECT a FROM t;\n" * 50,
        " characters, more than ",
    ),
    "language": (
        [ENGLISH, f"{ENGLISH} We are sorry for that and will look at it."],
        "free text in English, at most ",
        "Das ist eine Antwort, die nicht in der Sprache der anderen ist und die wir nicht wollen.",
        "German",
    ),
    "length": (
        [ENGLISH, f"{ENGLISH} We are sorry for that and will look at it."],
        "free text in English, at most ",
        f"{ENGLISH} " * 50,
        " characters, more than ",
    ),
}


@pytest.mark.parametrize(("outputs", "form", "other", "problem"), FORMS.values(), ids=FORMS)
def test_the_form_of_texts_is_named_and_each_row_without_it(checked, outputs, form, other, problem):
    rows = [
        {"prompt": f"p{n}", "output": outputs[n % 2].format(n=n), "tags": [str(n % 2)]}
        for n in range(48)
    ]
    said = checked(rows)
    assert f"Form of the outputs: {form}" in said
    assert "not fit the form" not in said
    odd = {"id": "odd", "prompt": "Something else", "output": other, "split": "holdout"}
    said = checked([*rows, odd])
    assert f"Form of the outputs: {form}" in said
    listed = said.partition("1 row that does not fit the form:\n")[2].partition("\n")[0]
    assert re.match("  odd: ", listed)
    assert problem in listed


def test_personal_data_is_counted_and_never_quoted(checked):
    rows = [*JSON_ROWS, {"id": "mail", "prompt": "I am ada@example.org", "output": "{}"}]
    said = checked(rows)
    assert "1 EMAIL in 1 row (mail), sent to the service LLM as it is" in said
    assert "ada@example.org" not in said
    assert "replaced with placeholders" in checked(rows, "privacy.redact=true")
    assert "Personal data: none found" in checked(JSON_ROWS)


def test_personal_data_in_references_and_in_the_instruction_is_told(checked):
    rows = [
        *JSON_ROWS,
        {"id": "mail", "prompt": "Hi", "output": "x", "references": ["a@example.org"]},
    ]
    said = checked(rows, "task.instruction=Ask ada@example.org where you are unsure.")
    assert "1 EMAIL in 1 row (mail)" in said
    assert "Personal data in task.instruction: EMAIL, sent as it is" in said


def test_personal_data_in_tags_and_ids_is_told_and_not_quoted(checked):
    rows = [
        *JSON_ROWS,
        {"id": "ada@example.org", "prompt": "Hi", "output": "x", "tags": ["by:bob@example.org"]},
    ]
    said = checked(rows, "privacy.redact=true")
    assert "1 EMAIL in 1 row (ada@example.org), replaced with placeholders" in said
    assert "Personal data in ids (1 row), which a run writes as they are." in said
    assert "bob@example.org" not in said


def test_the_row_that_is_shown_is_the_redacted_one(checked):
    rows = [
        {"id": f"m{n}", "prompt": f"I am ada{n}@example.org, order {n}.", "output": "ok, yes"}
        for n in range(40)
    ]
    said = checked(rows, "privacy.redact=true")
    assert "I am [EMAIL_1], order" in said
    assert "@example.org" not in said


def test_rows_that_differ_in_personal_data_alone_are_refused_as_a_run_refuses_them(checked):
    rows = [{"prompt": f"I am ada{n}@example.org.", "output": "ok"} for n in range(40)]
    with pytest.raises(UserError, match="Without personal data the prompts of the rows"):
        checked(rows, "privacy.redact=true")


def test_where_a_push_goes_and_the_terms_are_named(checked, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    said = checked(JSON_ROWS)
    assert "Push: to the folder" in said
    assert "Terms of Google AI Studio (Gemini API) (2025-05-20)" in said


@pytest.mark.usefixtures("no_network")
def test_nothing_is_sent(checked):
    assert checked(JSON_ROWS)
    assert "UNDERSTUDY_STANDIN_URL" not in os.environ


def test_a_run_refuses_placeholders_before_anything_is_spent(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")
    assert main(["init", "mine"]) == 0
    assert main(["run", "--preset", "mine.yaml"]) == 2
    assert "3 placeholders have not been replaced" in capsys.readouterr().err
    assert not (tmp_path / "output").exists()


def test_labels_that_are_too_few_for_a_closed_set_and_equal_lengths_are_said(checked):
    said = checked([{"prompt": f"p{n}", "output": str(n % 3)} for n in range(24)])
    assert "They look like labels (3 different outputs of 12 seeds)" in said
    assert "outputs 2 each" in said
    assert "2 to 2" not in said


def test_the_form_ready_to_paste_is_not_wrapped_again(checked):
    names = [f"Department {n} of the house" for n in range(8)]
    rows = [
        {"prompt": f"p{n}", "output": json.dumps({"to": names[n % 8]}), "tags": [str(n % 8)]}
        for n in range(240)
    ]
    said = checked(rows)
    block = said.partition("put this into the preset:\n")[2].partition("\nToken lengths")[0]
    assert yaml.safe_load(block)["task"]["output_schema"]["properties"]["to"]["enum"] == names
    assert wrapped(block) == block


def test_every_row_that_does_not_fit_is_listed_on_request(checked, capsys, tmp_path):
    bad = [row | {"output": "no JSON", "split": "holdout"} for row in JSON_ROWS[:25]]
    good = [
        row | {"id": f"g{n}", "prompt": f"Good {n}", "split": "seed"}
        for n, row in enumerate(JSON_ROWS)
    ]
    said = checked([*bad, *good])
    assert said.count(": not JSON") == 20
    assert "… and 5 more; understudy check --all lists every one" in said
    rows = ["--preset", "gemini", "--set", f"coverage_dir={tmp_path / 'rows'}"]
    assert main(["check", "--all", *rows]) == 0
    said = capsys.readouterr().out
    assert all(f"r{n}: not JSON" in said for n in range(25))
    assert " more; understudy" not in said


def test_rows_on_vertex_are_said_to_lie_in_the_bucket_as_they_are(tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in JSON_ROWS), encoding="utf-8"
    )

    def said(*overrides):
        return check_task(load_draft("vertex", [f"coverage_dir={tmp_path}", *overrides]).config)

    line = f"in the bucket or the image ({tmp_path}) the rows are stored as they are"
    assert line in said("privacy.redact=true")
    assert line not in said()


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        pytest.param(
            {"references": ["{}"]},
            ("evaluator.prompts.judge", "{{ task }}{{ prompt }}{{ answer_a }}{{ answer_b }}"),
            id="several right answers",
        ),
        pytest.param(
            {
                "prompt": None,
                "messages": [
                    {"role": role, "content": text}
                    for role, text in (("user", "Hi"), ("assistant", "Yes?"), ("user", "More"))
                ],
                "split": "seed",
            },
            ("synth.prompts.answer", "{{ task }}{{ message }}"),
            id="several turns",
        ),
    ],
)
def test_a_prompt_of_ones_own_that_some_rows_are_not_asked_with_is_refused(
    checked, tmp_path, changes, setting
):
    name, text = setting
    file = tmp_path / "mine.jinja"
    file.write_text(text, encoding="utf-8")
    row = {key: value for key, value in (JSON_ROWS[0] | changes).items() if value is not None}
    checked([row, *JSON_ROWS[1:]])
    with pytest.raises(UserError, match=name):
        checked([row, *JSON_ROWS[1:]], f"{name}={file}")
