import re

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from judging.report import rows_of_gate
from judging.scorers import (
    SCORERS,
    Scorer,
    exact_match,
    json_fields,
    needs_embedder,
    of_each,
    rouge_l,
    score_all,
)
from judging.settings import EvaluatorSettings, GateSettings
from reports.wording import scorer_name

ENGLISH = st.text("ab C1.,-!?'\n", max_size=30)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@pytest.mark.parametrize(
    ("output", "response", "score"),
    [
        pytest.param("Paris", "Paris", 1.0, id="equal"),
        pytest.param("Paris", " Paris\n", 1.0, id="white space around"),
        pytest.param("caf\u00e9", "cafe\u0301", 1.0, id="Unicode form"),
        pytest.param("Paris", "paris", 0.0, id="case"),
    ],
)
def test_exact_match_looks_past_what_nobody_sees(output, response, score):
    assert exact_match(output, response) == score


@pytest.mark.parametrize(
    ("output", "response", "score"),
    [
        pytest.param('{"a": 1, "b": null}', '{"b": null, "a": 1}', 1.0, id="order of fields"),
        pytest.param('{"a": 1, "b": 2}', '{"a": 1, "b": 3}', 0.5, id="one differs"),
        pytest.param('{"a": 1}', '{"a": 1, "b": 3}', 0.5, id="one too many"),
        pytest.param('{"a": {"b": 1, "c": 2}}', '{"a": {"b": 1}}', 0.5, id="nested"),
        pytest.param('{"a": true}', '{"a": 1}', 0.0, id="true is not 1"),
        pytest.param('{"a": 1}', "a is 1", 0.0, id="response is no JSON"),
        pytest.param('{"a": 1}', "[1]", 0.0, id="response is no object"),
        pytest.param("{}", "{}", 1.0, id="empty objects"),
        pytest.param("Paris", '{"a": 1}', None, id="desired output is no JSON"),
    ],
)
def test_json_fields_counts_equal_fields(output, response, score):
    assert json_fields(output, response) == score


def test_deeply_nested_json_is_a_wrong_answer_not_a_crash():
    assert json_fields('{"a": 1}', '{"a":' * 100_000) == 0.0


@pytest.mark.parametrize(
    ("output", "response", "score"),
    [
        # Lin 2004, section 3.1: "police killed the gunman" and its variants.
        pytest.param("police killed the gunman", "police kill the gunman", 0.75, id="S2"),
        pytest.param("police killed the gunman", "the gunman kill police", 0.5, id="S3"),
        pytest.param("police killed the gunman", "the gunman police killed", 0.5, id="S4"),
        pytest.param("a", "", 0.0, id="empty response"),
        pytest.param("!", "!", 1.0, id="no words, equal"),
        pytest.param("!", "?", 0.0, id="no words, different"),
    ],
)
def test_rouge_l_gives_the_published_scores(output, response, score):
    assert rouge_l(output, response) == pytest.approx(score)


def _longest(one, other):
    """The definition itself, exponential."""
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + _longest(one[1:], other[1:])
    return max(_longest(one[1:], other), _longest(one, other[1:]))


@given(one=WORDS, other=WORDS)
def test_rouge_l_agrees_with_the_definition(one, other):
    expected = 2 * _longest(one, other) / (len(one) + len(other)) if one and other else None
    if expected is not None:
        assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(expected)


@given(output=ENGLISH, response=ENGLISH)
def test_rouge_l_agrees_with_google_s_on_english(output, response):
    expected = RougeScorer(["rougeL"]).score(output, response)["rougeL"].fmeasure
    if re.search(r"[a-zA-Z0-9]", output + response):  # of two texts without words it says 0
        assert rouge_l(output, response) == pytest.approx(expected)


def test_rouge_l_reads_words_of_other_languages():
    assert rouge_l("Где мой заказ?", "где мой Заказ") == 1.0


@given(output=st.text(), response=st.text())
def test_every_score_of_any_text_lies_between_0_and_1(output, response):
    (scores,) = score_all([(output, response)])
    assert all(score is None or 0 <= score <= 1 for score in scores.values()), scores


@given(text=st.text())
def test_a_text_that_equals_the_desired_one_has_the_best_scores(text):
    (scores,) = score_all([(text, text)])
    assert all(score in (None, 1) for score in scores.values()), scores


def test_embeddings_are_compared_by_cosine_and_a_text_without_words_as_it_is():
    vectors = {"x": [1.0, 0.0], "y": [3.0, 4.0]}
    asked = []

    def embed(texts):
        asked.extend(texts)
        return [vectors[text] for text in texts]

    scores = score_all([("x", "y"), ("x", "x"), ("x", ""), (" ", "")], embed)
    assert [row["embedding"] for row in scores] == [0.6, 1.0, 0.0, 1.0]
    assert asked == ["x", "y"], "each text once, and no empty one"


def test_an_embedding_model_is_not_asked_about_nothing():
    (scores,) = score_all([("", "")], lambda texts: pytest.fail(f"asked for {texts}"))
    assert scores["embedding"] == 1.0


def test_every_entry_has_a_threshold_and_a_score():
    names = ["exact_match", "json_fields", "rouge_l", "embedding"]
    assert list(SCORERS) == list(EvaluatorSettings().scorer_thresholds) == names
    changed = EvaluatorSettings(rouge_l_threshold=0.5, json_fields_threshold=0.9)
    assert list(changed.scorer_thresholds.values()) == [1.0, 0.9, 0.5, 0.85]
    (scores,) = score_all([("a", "a")], lambda texts: [[1.0] for _ in texts])
    assert list(scores) == names


def test_an_unknown_scorer_is_refused_where_settings_are_read():
    with pytest.raises(
        pydantic.ValidationError, match=r"no such scorer.*judge, exact_match, json_fields"
    ):
        GateSettings(scorer="bleu")


def test_an_unknown_scorer_never_becomes_another_one():
    settings = EvaluatorSettings(gate=GateSettings.model_construct(scorer="bleu"))
    with pytest.raises(KeyError, match="bleu"):
        rows_of_gate([], settings)


def test_one_entry_adds_a_scorer(monkeypatch):
    entry = Scorer(of_each(lambda output, response: len(response) / 3, digits=2), 0.5)
    monkeypatch.setitem(SCORERS, "of_length", entry)
    assert score_all([("a", "bc")])[0]["of_length"] == 0.67
    settings = EvaluatorSettings(gate={"scorer": "of_length"})
    assert settings.scorer_thresholds["of_length"] == 0.5
    assert not needs_embedder("of_length")
    assert scorer_name("of_length") == "of length"
