import json

from judging.output_fields import ABSENT
from judging.value_shares import ANY_VALUE, count_values, value_shares


def _ticket(priority, **fields):
    return json.dumps({"priority": priority, **fields})


def _shares(kind="json", **sets):
    return value_shares({k: (len(v), count_values(v, kind)) for k, v in sets.items()})


def test_the_mix_of_values_is_compared_between_sets_of_outputs():
    shares = _shares(
        references=[_ticket("low")] * 3 + [_ticket("high")],
        training=[_ticket("high")] * 2,
        answers=["no JSON", _ticket("low")],
    )
    low, high, absent = shares["priority"]
    assert (low.value, low.percent) == (
        '"low"',
        {"references": 75.0, "training": 0.0, "answers": 50.0},
    )
    assert high.percent == {"references": 25.0, "training": 100.0, "answers": 0.0}
    assert (absent.value, absent.percent["answers"]) == (ABSENT, 50.0)


def test_a_field_of_names_counts_whether_it_is_given():
    references = [_ticket("low", branch=f"branch {n}") for n in range(58)] + [_ticket("low")] * 42
    training = [_ticket("low", branch="Lyon")] * 27 + [_ticket("low")] * 73
    named, absent = _shares(references=references, training=training)["branch"]
    assert (named.value, named.percent) == (ANY_VALUE, {"references": 58.0, "training": 27.0})
    assert (absent.value, absent.percent) == (ABSENT, {"references": 42.0, "training": 73.0})


def test_labels_are_compared_as_a_whole():
    (yes, no) = _shares("labels", references=["yes", "yes", "no"], answers=[" yes\n", "no"])[
        "label"
    ]
    assert (yes.value, yes.percent["references"], yes.percent["answers"]) == ("yes", 66.67, 50.0)
    assert no.percent["answers"] == 50.0
