import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.language import scripts
from components.synth_data_gen.validate import infer_form, loads

PRODUCTS = ["Echo Lamp", "Echo Lamp", "Echo Lamp", "Quill Lock", None, None]
TICKETS = [
    {"category": category, "priority": priority, "product": product}
    for category, priority in [("billing", "high"), ("defect", "low"), ("returns", "normal")]
    for product in PRODUCTS
] + [{"category": "billing", "priority": "low", "product": "Vista Blind"}]
FORM = infer_form([json.dumps(ticket) for ticket in TICKETS])


def ticket(**changes):
    return json.dumps({"category": "billing", "priority": "low", "product": None} | changes)


@pytest.mark.parametrize(
    "output",
    [ticket(), ticket(product="Echo Lamp"), ticket(product="Vista Blind")],
    ids=["null", "frequent", "rare"],
)
def test_outputs_like_the_seeds_pass(output):
    assert FORM.problem(output) is None


def test_a_value_repeated_in_every_seed_field_forms_a_closed_set():
    assert FORM.schema["properties"]["category"]["enum"] == ["billing", "defect", "returns"]


def test_a_legal_value_that_no_seed_shows_passes_where_the_set_may_be_incomplete():
    rare = infer_form([json.dumps({"product": p}) for p in ["Lamp", "Lamp", "Lamp", "Lock", None]])
    assert rare.problem('{"product": "Kettle"}') is None
    assert rare.problem('{"product": null}') is None


def test_null_stays_legal_beside_a_closed_set():
    form = infer_form([json.dumps({"size": size}) for size in ["big", "small", None] * 3])
    assert form.schema["properties"]["size"]["enum"] == ["big", "small", None]
    assert form.problem('{"size": null}') is None
    assert form.problem('{"size": "huge"}') is not None


@pytest.mark.parametrize(
    ("output", "word"),
    [
        (ticket(category="sales"), "sales"),
        (ticket(note="x"), "note"),
        ('{"category": "billing", "priority": "low"}', "product"),
        (ticket(product="x" * 100), "too long"),
        (ticket(product=3), "3"),
        ("The category is billing.", "not JSON"),
        ("[1]", "object"),
        ('{"category": "billing", "category": "defect"}', "repeated key"),
        ('{"category": NaN}', "NaN"),
        ("[" * 100_000, "not JSON"),
    ],
    ids=[
        "unknown-label", "unknown-key", "missing-key", "long-text", "wrong-type", "prose", "array",
        "repeated-key", "not-a-number", "deep",
    ],
)  # fmt: skip
def test_a_broken_form_is_named(output, word):
    assert word in FORM.problem(output)


@pytest.mark.parametrize(
    "written",
    [
        '```json\n{"category":"billing","priority":"low","product":null}\n```',
        '{\n  "category": "billing",\n  "priority": "low",\n  "product": null\n}',
        '  {"priority": "low", "product": null, "category": "billing"}\n',
    ],
    ids=["fenced", "indented", "other-key-order"],
)
def test_json_is_rewritten_in_the_seeds_style(written):
    assert FORM.tidy(written) == ticket()


@pytest.mark.parametrize(
    "write",
    [
        json.dumps,
        lambda value: json.dumps(value, separators=(",", ":")),
        lambda value: json.dumps(value, indent=2),
        lambda value: json.dumps(value, ensure_ascii=False),
    ],
    ids=["default", "compact", "indented", "unicode"],
)
def test_seed_outputs_of_any_one_style_are_left_as_they_are(write):
    outputs = [write({"name": name, "list": [1, 2.5, True]}) for name in ("Zoë", "Łukasz")]
    form = infer_form(outputs)
    assert [form.tidy(output) for output in outputs] == outputs
    assert [form.problem(output) for output in outputs] == [None, None]


def test_free_text_has_a_range_of_lengths_and_scripts():
    form = infer_form(["A short reply.", "A reply that is quite a bit longer."])
    assert form.problem("Another fine reply.") is None
    assert "characters" in form.problem("No.")
    assert "characters" in form.problem("word " * 50)
    assert "CYRILLIC" in form.problem("Короткий ответ.")


TEMPERATURES = [
    "The kettle keeps the water at the temperature that you set in the app.",
    "You can set the temperature of the water in the app, or at the foot of the kettle.",
    "It is not possible to keep the water warm for more than an hour.",
    "The app shows the temperature of the water while the kettle is on.",
    "If the kettle does not heat the water, clean the foot of it and try again.",
    "The water is not hot enough when the lid of the kettle is open.",
    "You will find the temperature in the settings of the app on your phone.",
    "The lid of the kettle has to be shut before you can set the app to a temperature.",
]
GERMAN = "Der Wasserkocher hält das Wasser so lange warm, wie es in der App eingestellt ist."


def test_free_text_is_in_the_language_of_the_seeds():
    form = infer_form(TEMPERATURES)
    assert form.problem("Open the lid and look whether the water is on the right mark.") is None
    assert "written in German" in form.problem(GERMAN)


def test_text_inside_json_is_in_the_language_of_the_seeds():
    form = infer_form([json.dumps({"reply": text}) for text in TEMPERATURES])
    assert form.problem(json.dumps({"reply": "The water in the kettle is still too cold."})) is None
    assert "written in German" in form.problem(json.dumps({"reply": GERMAN}))
    assert "CYRILLIC" in form.problem(json.dumps({"reply": "Вода в чайнике холодная и будет."}))


def test_labels_form_a_closed_set_only_when_each_is_seen_several_times():
    closed = infer_form(["spam", "ham"] * 3)
    assert closed.problem("spam") is None
    assert "'eggs'" in closed.problem("eggs")
    assert infer_form(["spam", "ham", "eggs"]).problem("toast") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda child: (
        st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=4), child, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(JSON, min_size=1, max_size=6))
def test_every_seed_output_has_the_form_that_is_inferred_from_it(values):
    outputs = [json.dumps(value) for value in values]
    form = infer_form(outputs)
    for output in outputs:
        assert form.problem(output) is None, (output, form)
        assert form.tidy(output) == output.strip()


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_judged_without_an_exception(text):
    FORM.problem(FORM.tidy(text))


def test_strict_json_refuses_infinity():
    with pytest.raises(ValueError, match="Infinity"):
        loads("Infinity")


def test_scripts_ignore_digits_and_punctuation():
    assert scripts("Grüße 12, мир!") == {"LATIN", "CYRILLIC"}
