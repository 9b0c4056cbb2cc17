import json

from components.synth_data_gen.output_values import count_kept_and_dropped, count_near
from core.records import CoverageRow
from core.synthetic_records import Dropped


def output(product, urgent=False, note=""):
    return json.dumps({"product": product, "urgent": urgent, "note": note})


COVERAGE = [
    CoverageRow("s1", "a kettle", output("Kettle"), "seed"),
    CoverageRow("s2", "a lamp", output("Lamp"), "seed"),
    CoverageRow("h1", "a secret", output("Prototype"), "holdout"),
    CoverageRow("h2", "kettle", output("Kettle"), "holdout"),
]


def test_a_value_that_the_filters_take_shows_next_to_those_they_leave():
    """The case of the issue: leaks near rows of one product, dropped before they have an output."""
    kept = [output("Lamp", note="x" * 50)] * 9 + [output("Kettle", urgent=True)]
    leaks = [Dropped("leak", "", "p", nearest_id=near) for near in ("s1", "h2", "h2", "h1")]
    values = count_kept_and_dropped(
        kept, [*leaks, Dropped("form", "", "p", output("Lamp"))], COVERAGE
    )
    assert values["product"] == (("Lamp", 9, 1), ("Kettle", 1, 3))
    assert values["urgent"] == (("false", 9, 5), ("true", 1, 0))
    assert "note" not in values, "texts are no values"
    assert "Prototype" not in str(values), "a value that only the holdout has stays there"


def test_labels_are_values_as_a_whole():
    seeds = [CoverageRow(label, label, label, "seed") for label in ("yes", "no")]
    assert count_kept_and_dropped(
        ["yes", "yes", "no"], [Dropped("leak", "", nearest_id="no")], seeds
    ) == {"output": (("no", 1, 1), ("yes", 2, 0))}


def test_what_was_dropped_is_counted_by_the_row_that_it_is_near_to():
    dropped = [Dropped("leak", "", nearest_id=near) for near in ("h2", "s1", "h2")]
    dropped += [Dropped("semantic_leak", "", nearest_id="h2"), Dropped("duplicate", "")]
    found = [(n.coverage_id, n.split, n.reason, n.rows) for n in count_near(dropped, COVERAGE)]
    assert found == [
        ("h2", "holdout", "leak", 2),
        ("h2", "holdout", "semantic_leak", 1),
        ("s1", "seed", "leak", 1),
    ]
