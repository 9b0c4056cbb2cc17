import pytest

from judging.labels import read_labels
from judging.requests import JudgedResponse
from judging.sample_labels import sample
from pipeline.cli.main import main


@pytest.fixture
def verdicts(tmp_path, verdict_row):
    rows = [
        verdict_row(str(n), n % 2 == 0, model=model, response=f"{model}{n}")
        for n in range(20)
        for model in ("tuned", "base", "service")
    ]
    path = tmp_path / "verdicts.jsonl"
    path.write_text("".join(f"{row.to_json()}\n" for row in rows), encoding="utf-8")
    return path


def _responses(path):
    text = path.read_bytes().decode().replace(",\r\n", ",yes\r\n")
    return [label.judged.response for label in read_labels(text, str(path))]


def test_the_file_holds_as_many_responses_as_asked_for(verdicts, tmp_path):
    output = tmp_path / "labels.csv"
    assert main(["sample-labels", str(verdicts), str(output), "--count", "15"]) == 0
    drawn = _responses(output)
    assert len(set(drawn)) == 15
    assert not [response for response in drawn if response.startswith("service")]


def test_the_verdict_is_not_shown(verdicts, tmp_path):
    output = tmp_path / "labels.csv"
    main(["sample-labels", str(verdicts), str(output)])
    assert output.read_text().splitlines()[0] == "prompt,output,response,human_covered"


def test_the_same_seed_draws_the_same_responses(verdicts, tmp_path):
    outputs = [tmp_path / f"{n}.csv" for n in range(3)]
    for output, seed in zip(outputs, ("5", "5", "6"), strict=True):
        main(["sample-labels", str(verdicts), str(output), "--count", "8", "--seed", seed])
    first, second, third = map(_responses, outputs)
    assert first == second
    assert first != third


def test_responses_that_are_labelled_already_are_not_drawn_again(verdicts, tmp_path):
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    main(["sample-labels", str(verdicts), str(first), "--count", "25"])
    first.write_bytes(first.read_bytes().replace(b",\r\n", b",yes\r\n"))
    main(["sample-labels", str(verdicts), str(second), "--labelled", str(first)])
    assert len(_responses(second)) == 15
    labelled = [label.judged.response for label in read_labels(first.read_text(), "1.csv")]
    assert not set(_responses(second)) & set(labelled)


def test_a_response_of_several_models_is_drawn_once(verdict_row):
    rows = [verdict_row("1", True, model=model) for model in ("tuned", "base")]
    assert len(sample(rows, 10)) == 1


def test_the_draw_does_not_look_at_the_verdict(verdict_row):
    rows = [verdict_row(str(n), True, response=str(n)) for n in range(30)]
    others = [verdict_row(str(n), False, response=str(n)) for n in range(30)]
    assert sample(rows, 10) == sample(others, 10)


def test_a_response_without_a_verdict_is_not_drawn(verdict_row):
    assert sample([verdict_row("1", False, scored=False)], 10) == []
    assert sample([verdict_row("1", False)], 10) == [
        JudgedResponse("Capital of 1?", "Paris", "Rome")
    ]


def test_labels_are_never_overwritten(verdicts, tmp_path, capsys):
    output = tmp_path / "labels.csv"
    output.write_text("work of a week")
    assert main(["sample-labels", str(verdicts), str(output)]) == 2
    assert "exists" in capsys.readouterr().err
    assert output.read_text() == "work of a week"


@pytest.mark.parametrize("content", ["{}\n", "not json\n", "[1]\n"], ids=["keys", "json", "list"])
def test_a_file_that_holds_no_verdicts_is_named(tmp_path, capsys, content):
    path = tmp_path / "other.jsonl"
    path.write_text(content)
    assert main(["sample-labels", str(path), str(tmp_path / "labels.csv")]) == 2
    assert "other.jsonl" in capsys.readouterr().err
