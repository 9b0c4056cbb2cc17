import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.output_fields import ABSENT, UNREADABLE
from judging.rates import wilson
from judging.strict import strict_equal, strict_kind, strict_report

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [
        pytest.param('{"a": 1, "b": "x"}', '{"b":"x",\n"a":1}', True, id="order and white space"),
        pytest.param('{"a": 1}', '{"a": 1.0}', True, id="one number, two ways of writing"),
        pytest.param('{"a": 1}', '{"a": true}', False, id="true is not 1"),
        pytest.param('{"a": [1]}', '{"a": [true]}', False, id="nor inside a list"),
        pytest.param('{"a": {"b": 1}}', '{"a": {"b": 2}}', False, id="a nested field"),
        pytest.param('{"a": 1}', '{"a": 1, "b": 2}', False, id="a field too many"),
        pytest.param('{"a": 1, "b": 2}', '{"a": 1}', False, id="a field too few"),
        pytest.param('{"a": null}', "{}", False, id="null is not absent"),
        pytest.param('{"a": 1}', '{"a": 1, "a": 1}', False, id="a repeated key is no JSON object"),
        pytest.param('{"a": 1}', '```json\n{"a": 1}\n```', False, id="a fence is not cleaned here"),
        pytest.param('{"a.b": 1}', '{"a": {"b": 1}}', False, id="a dot in a key is no path"),
        pytest.param('{"a": {}}', '{"a": 0}', False, id="an empty object is a value"),
        pytest.param('["a", 1]', '[ "a", 1.0 ]', True, id="an array is one value"),
        pytest.param('["a", "b"]', '["b", "a"]', False, id="of an array the order counts"),
        pytest.param('["a"]', '{"(array)": ["b"]}', False, id="an array is no object"),
        pytest.param("none", " none\n", True, id="a reference that is not JSON, as text"),
        pytest.param("none", "{}", False, id="nor is it an empty object"),
    ],
)
def test_json_is_equal_in_every_field_or_not_at_all(reference, answer, equal):
    assert strict_equal(reference, answer, "json") is equal


@given(value=OBJECTS)
def test_an_object_equals_itself_in_any_order_and_style(value):
    reordered = dict(reversed(value.items()))
    assert strict_equal(json.dumps(value), json.dumps(reordered, indent=1), "json")


@given(value=OBJECTS, other=OBJECTS)
def test_equality_does_not_depend_on_the_side(value, other):
    one, two = json.dumps(value), json.dumps(other)
    assert strict_equal(one, two, "json") == strict_equal(two, one, "json")


@pytest.mark.parametrize(
    ("references", "kind"),
    [
        pytest.param(['{"a": 1}', '{"a": 2}'], "json", id="objects"),
        pytest.param(["refund", "delivery"] * 20, "labels", id="a closed set"),
        pytest.param(["Dear Ms A", "Dear Mr B", "Hello"], None, id="free text"),
        pytest.param(['{"a": 1}', "I cannot tell."], None, id="not all are objects"),
        pytest.param([], None, id="nothing"),
        pytest.param(['{"a": 1}'] * 119 + ["none"], "json", id="one bad reference"),
        pytest.param(['["a", "b"]', "[]", '["c"]'], "json", id="arrays"),
    ],
)
def test_free_text_has_no_strict_rate(references, kind):
    assert strict_kind(references) == kind


def _ticket(priority, category="billing"):
    return json.dumps({"category": category, "priority": priority})


@pytest.fixture
def tickets(verdict_row):
    """Ten holdout prompts: 6 normal, 4 low; three of the low ones answered normal."""

    def make(covered=True):
        answers = ["normal"] * 6 + ["normal"] * 3 + ["low"]
        return [
            verdict_row(
                f"t{number}",
                covered,
                output=_ticket("normal" if number < 6 else "low"),
                response=_ticket(answer),
            )
            for number, answer in enumerate(answers)
        ]

    return make


def test_each_field_has_its_own_accuracy_with_an_interval_over_prompts(tickets):
    holdout = strict_report(tickets(), "json").holdout
    assert holdout.rate.rate_percent == 70
    assert holdout.fields["category"].accuracy.rate_percent == 100
    priority = holdout.fields["priority"]
    low, high = wilson(0.7, 10)
    assert (priority.accuracy.covered, priority.accuracy.total) == (7, 10)
    assert priority.accuracy.low_percent == pytest.approx(100 * low, abs=0.01)
    assert priority.accuracy.high_percent == pytest.approx(100 * high, abs=0.01)
    assert priority.majority_percent == 60


def test_confusion_counts_reference_against_answered_value(tickets):
    cells = strict_report(tickets(), "json").holdout.fields["priority"].confusion
    counted = {(cell.reference, cell.answered): cell.rate for cell in cells}
    assert {key: found.covered for key, found in counted.items()} == {
        ('"normal"', '"normal"'): 6,
        ('"low"', '"normal"'): 3,
        ('"low"', '"low"'): 1,
    }
    assert counted['"low"', '"normal"'].total == 4
    assert counted['"low"', '"normal"'].rate_percent == 75


def test_the_cells_of_a_reference_value_sum_up_to_its_answers(tickets):
    for field in strict_report(tickets(), "json").holdout.fields.values():
        for reference in {cell.reference for cell in field.confusion}:
            cells = [cell.rate for cell in field.confusion if cell.reference == reference]
            assert sum(cell.covered for cell in cells) == cells[0].total


def test_an_absent_field_and_a_text_that_is_no_json_are_named_in_the_confusion(verdict_row):
    rows = [
        verdict_row("a", True, output=_ticket("low"), response='{"category": "billing"}'),
        verdict_row("b", True, output=_ticket("low"), response="low, I think"),
        verdict_row("c", True, output=_ticket("low"), response=_ticket("low")),
    ]
    field = strict_report(rows, "json").holdout.fields["priority"]
    assert {cell.answered for cell in field.confusion} == {
        ABSENT,
        UNREADABLE,
        '"low"',
    }
    assert field.accuracy.covered == 1


def test_samples_of_one_prompt_are_not_independent(verdict_row):
    outputs = {"output": _ticket("low"), "response": _ticket("low")}
    rows = [
        verdict_row(f"p{number % 5}", True, sample=number // 5, **outputs) for number in range(20)
    ]
    found = strict_report(rows, "json").holdout.rate
    assert (found.total, found.prompts) == (20, 5)
    assert found.low_percent == pytest.approx(100 * wilson(1.0, 5).low, abs=0.01)


def test_free_text_fields_have_an_accuracy_but_no_confusion(verdict_row):
    rows = [
        verdict_row(str(n), True, output=json.dumps({"note": f"n{n}"}), response='{"note": "n0"}')
        for n in range(6)
    ]
    field = strict_report(rows, "json").holdout.fields["note"]
    assert field.accuracy.covered == 1
    assert field.confusion == ()


@pytest.fixture
def labelled(verdict_row):
    """Ten times: four `refund` (one answered `delivery`), three `delivery`, three `other`."""
    pairs = (
        [("refund", "refund")] * 3
        + [("refund", "delivery")]
        + [("delivery", " delivery\n")] * 3
        + [("other", "other")] * 2
        + [("other", "unheard of")]
    )
    return [
        verdict_row(str(number), True, output=output, response=response)
        for number, (output, response) in enumerate(10 * pairs)
    ]


def test_labels_have_f1_by_label(labelled):
    scores = strict_report(labelled, "labels").holdout.labels
    refund, delivery, other = (scores[name] for name in ("refund", "delivery", "other"))
    assert (refund.precision_percent, refund.recall_percent) == (100, 75)
    assert refund.f1_percent == pytest.approx(100 * 2 * 3 / (4 + 3), abs=0.01)
    assert (delivery.precision_percent, delivery.recall_percent) == (75, 100)
    assert (other.answers, other.references, other.correct) == (20, 30, 20)
    for score in scores.values():
        assert 0 <= score.low_percent < score.f1_percent < score.high_percent <= 100


def test_a_label_that_is_never_answered_has_no_precision(labelled, verdict_row):
    rows = [
        *labelled,
        *(verdict_row(f"x{n}", False, output="spam", response="other") for n in range(6)),
    ]
    spam = strict_report(rows, "labels").holdout.labels["spam"]
    assert (spam.precision_percent, spam.recall_percent, spam.f1_percent) == (None, 0, 0)


def test_a_lenient_judge_is_reported_with_the_rows_it_forgives(tickets):
    judge = strict_report(tickets(covered=True), "json").holdout.judge
    assert (judge.points, judge.warn) == (30, True)
    assert judge.only_judge == ("t6", "t7", "t8")
    assert judge.only_strict == ()


def test_a_harsh_judge_is_reported_too(tickets):
    judge = strict_report(tickets(covered=False), "json").holdout.judge
    assert (judge.points, judge.warn) == (-70, True)
    assert len(judge.only_strict) == 7


@pytest.mark.parametrize(("differing", "warn"), [(3, False), (4, True)], ids=["15", "20 points"])
def test_only_more_than_15_points_are_worth_a_warning(verdict_row, differing, warn):
    rows = [
        verdict_row(
            str(n),
            True,
            output=_ticket("low"),
            response=_ticket("high" if n < differing else "low"),
        )
        for n in range(20)
    ]
    judge = strict_report(rows, "json").holdout.judge
    assert judge.warn is warn
    assert len(judge.only_judge) == differing


def test_the_report_survives_its_file(tickets, labelled):
    for rows, kind in ((tickets(), "json"), (labelled, "labels")):
        report = strict_report(rows, kind)
        assert type(report).model_validate_json(report.model_dump_json()) == report


def test_a_split_without_answers_is_reported_as_empty(tickets):
    seed = strict_report(tickets(), "json").seed
    assert (seed.rate.total, seed.judge.warn) == (0, False)


def test_an_array_is_one_field_of_the_report(verdict_row):
    rows = [
        verdict_row(str(n), True, output='["a"]', response='["a"]' if n else '["b"]')
        for n in range(4)
    ]
    (accuracy,) = (f.accuracy for f in strict_report(rows, "json").holdout.fields.values())
    assert (accuracy.covered, accuracy.total) == (3, 4)
