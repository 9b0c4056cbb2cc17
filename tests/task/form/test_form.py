import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.form import describe_fields, infer_form, loads, what_labels_lack
from task.language import scripts

PRODUCTS = ["Echo Lamp", "Echo Lamp", "Echo Lamp", "Quill Lock", None, None]
TICKETS = [
    {"category": category, "priority": priority, "product": product}
    for category, priority in [("billing", "high"), ("defect", "low"), ("returns", "normal")]
    for product in PRODUCTS
] + [{"category": "billing", "priority": "low", "product": "Vista Blind"}]
FORM = infer_form([json.dumps(ticket) for ticket in TICKETS * 3])


def ticket(**changes):
    return json.dumps({"category": "billing", "priority": "low", "product": None} | changes)


@pytest.mark.parametrize(
    "output",
    [ticket(), ticket(product="Echo Lamp"), ticket(product="Vista Blind")],
    ids=["null", "frequent", "rare"],
)
def test_outputs_like_the_seeds_pass(output):
    assert FORM.problem(output) is None


def test_values_seen_often_in_many_seeds_form_a_closed_set():
    assert FORM.schema["properties"]["category"]["enum"] == ["billing", "defect", "returns"]


@pytest.mark.parametrize(
    ("counts", "is_closed"),
    [((5, 5, 5, 5), True), ((5, 5, 5, 4), False), ((10, 9), False), ((16, 4), False)],
    ids=["20-seeds", "19-seeds", "19-seeds-of-two", "4-sightings"],
)
def test_a_closed_set_needs_20_seeds_and_5_sightings_of_each_value(counts, is_closed):
    values = [name for name, count in zip("abcd", counts, strict=False) for _ in range(count)]
    form = infer_form([json.dumps({"kind": value}) for value in values])
    assert (form.problem('{"kind": "new"}') is not None) == is_closed
    labels = infer_form([f"label {value}" for value in values])
    assert (labels.problem("label new") is not None) == is_closed


def test_repeats_inside_one_seed_are_one_sighting():
    outputs = [json.dumps({"parts": ["red"] * 9 + ["blue"] * 9})] * 4
    assert infer_form(outputs).problem('{"parts": ["green"]}') is None


def test_a_legal_value_that_no_seed_shows_passes_where_the_set_may_be_incomplete():
    products = [*["Lamp"] * 30, *["Lock"] * 30, "Stove", None]
    rare = infer_form([json.dumps({"product": product}) for product in products])
    assert rare.problem('{"product": "Kettle"}') is None
    assert rare.problem('{"product": null}') is None


def test_an_object_inside_an_object_stays_one():
    form = infer_form([json.dumps({"to": {"name": f"n{n}", "rooms": [n]}}) for n in range(30)])
    assert form.problem('{"to": {"name": "other", "rooms": [7]}}') is None
    assert form.problem('{"to": ["other", 7]}') is not None
    assert form.problem('{"to": {"name": "other", "rooms": {"a": 7}}}') is not None


def test_null_stays_legal_beside_a_closed_set():
    form = infer_form([json.dumps({"size": size}) for size in ["big", "small", None] * 20])
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


def test_free_text_has_a_longest_length_and_scripts():
    form = infer_form(["A short reply.", "A reply that is quite a bit longer."])
    assert form.problem("Another fine reply.") is None
    assert "empty" in form.problem(" ")
    assert "characters" in form.problem("word " * 500)
    assert "CYRILLIC" in form.problem("Короткий ответ.")
    assert form.problem("The sender is Иван Петров, and he wants a refund.") is None


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


def test_language_is_not_guessed_from_names_in_json():
    names = ["Der Die", "Jean-Luc des Champs et les Enfants du Paradis", "王芳", "María de la O"]
    form = infer_form([json.dumps({"name": "Ada of the Lake"})] * 30)
    for name in names:
        assert form.problem(json.dumps({"name": name})) is None, name


@pytest.mark.parametrize("count", [6, 60], ids=["few", "many"])
def test_integers_do_not_forbid_decimals(count):
    form = infer_form([json.dumps({"total": number}) for number in range(count)])
    assert form.problem('{"total": 12.5}') is None
    assert form.problem('{"total": "12"}') is not None


@pytest.mark.parametrize("empty", [None, "", [], {}], ids=["null", "text", "list", "object"])
def test_a_field_that_is_empty_everywhere_forbids_nothing(empty):
    form = infer_form([json.dumps({"a": 1, "notes": empty})] * 60)
    for value in (None, "text", ["x"], {"k": 1}, 3):
        assert form.problem(json.dumps({"a": 1, "notes": value})) is None, value


def test_few_seeds_forbid_no_null_no_missing_key_and_no_other_key():
    form = infer_form([json.dumps({"a": number, "b": "x"}) for number in range(6)])
    for output in ('{"a": null, "b": "y"}', '{"a": 1}', '{"a": 1, "b": "y", "c": 2}'):
        assert form.problem(output) is None, output
    for output in ("null", "[]", "prose", '{"answer": 42}', '{"a": "one", "b": "x"}'):
        assert form.problem(output) is not None, output


@pytest.mark.parametrize("broken", ["{", "no json at all", "[1, 2"])
def test_one_broken_seed_does_not_switch_the_form_off(broken):
    outputs = [json.dumps(ticket) for ticket in TICKETS] + [broken]
    form = infer_form(outputs)
    assert form.schema is not None
    assert [misfit.row for misfit in form.misfits(outputs)] == [len(TICKETS)]
    assert "not JSON" in form.misfits(outputs)[0].problem


def test_a_seed_with_a_fence_fits():
    outputs = [json.dumps(ticket) for ticket in TICKETS]
    outputs[3] = f"```json\n{outputs[3]}\n```"
    assert infer_form(outputs).misfits(outputs) == []


SQL = [f"SELECT name\n  FROM t{n}\n WHERE id = {n};" for n in range(8)]
PYTHON = [f"    if x > {n}:\n        return x\n    return {n}" for n in range(8)]


@pytest.mark.parametrize("seeds", [SQL, PYTHON], ids=["sql", "python"])
def test_indentation_is_kept(seeds):
    form = infer_form(seeds)
    assert form.is_code
    assert [form.tidy(seed) for seed in seeds] == seeds
    assert form.tidy(f"\n\n{seeds[0]}\n\n") == seeds[0]
    assert form.misfits(seeds) == []


AROUND = {
    "fence": "```sql\n{}\n```",
    "lead-in-and-fence": "Here is the query:\n\n```sql\n{}\n```\nIt joins both tables.",
    "lead-in": "Here is the query:\n{}",
    "sure": "Sure! Here's the SQL query you asked for:\n\n{}",
    "sure-line": "Certainly!\n\nThe query is:\n{}",
    "german": "Hier ist die Abfrage:\n{}",
    "french": "Voici la requête :\n{}",
    "inline": "Here is the query: {}",
    "inline-sure": "Sure! Here's the SQL query: {}",
    "inline-answer": "The answer is: {}",
    "inline-spanish": "Esta es la consulta:\n{}",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("seeds", [SQL, TEMPERATURES], ids=["code", "prose"])
def test_fences_and_lead_ins_that_no_seed_has_are_removed(around, seeds):
    assert infer_form(seeds).tidy(around.format(seeds[0])) == seeds[0]


def test_every_one_of_equal_misfits_is_listed():
    misfits = FORM.misfits(["{", ticket(), "{", "["])
    assert [misfit.row for misfit in misfits] == [0, 2, 3]


ADVICE = [f"Take {n} grams of flour and wait, then turn it once." for n in range(12)]


@pytest.mark.parametrize(
    "output",
    [
        "Run this first, then wait:\n```sh\nls\n```\nIt is done when it ends.",
        "Take it.\n\n```\nflour\n```\nOr:\n```\noats\n```",
        "```sh\nls and no end of the fence",
    ],
    ids=["within", "several", "not closed"],
)
def test_a_fence_within_prose_is_refused_where_no_seed_has_one(output):
    form = infer_form(ADVICE)
    assert form.misfits([output, ADVICE[0]])[0].problem == "a code fence, which no seed output has"
    assert [misfit.row for misfit in form.misfits([output, ADVICE[0]])] == [0]


@pytest.mark.parametrize("seeds", [SQL + SQL, ADVICE], ids=["code", "prose"])
def test_an_output_without_the_fence_of_all_seeds_is_refused(seeds):
    fenced = [f"```\n{seed}\n```" for seed in seeds]
    form = infer_form(fenced)
    assert form.misfits(fenced) == []
    (misfit,) = form.misfits([seeds[0]])
    assert misfit.problem == "not in a code fence, as all seed outputs are"


def test_a_fence_of_few_seeds_or_of_some_is_not_asked_for():
    fenced = [f"```\n{seed}\n```" for seed in ADVICE]
    assert infer_form(fenced[:9]).misfits(ADVICE[:9]) == []
    assert infer_form([*fenced[:11], ADVICE[11]]).misfits(ADVICE) == []


def test_fences_and_lead_ins_that_seeds_have_are_kept():
    fenced = [f"```sql\n{query}\n```" for query in SQL]
    assert infer_form(fenced).tidy(fenced[0]) == fenced[0]
    announced = [f"Here is the query:\n{query}" for query in SQL]
    assert infer_form(announced).tidy(announced[0]) == announced[0]


@pytest.mark.parametrize(
    "text",
    [
        "Here is your refund.",
        "Okay, we will call you.",
        "Great lamp: it works.",
        "Here is how to reset it: hold the button.",
        "The kettle is: broken.",
        "Your answer helped: thank you.",
    ],
)
def test_an_answer_that_only_begins_like_a_lead_in_is_kept(text):
    assert infer_form(["We refund you.", "We will call you."] * 3).tidy(text) == text


SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}},
    "required": ["kind"],
    "additionalProperties": False,
}


def test_a_given_schema_is_the_form():
    form = infer_form(['{"kind":"a"}', '{"kind":"b"}', '{"kind":"a","note":"x"}'], SCHEMA)
    assert form.schema == SCHEMA
    assert form.problem('{"kind":"b"}') is None
    assert "'c'" in form.problem('{"kind":"c"}')
    assert form.tidy('{"kind": "b"}') == '{"kind":"b"}'
    assert [m.row for m in form.misfits(['{"kind":"a"}', '{"kind":"a","note":"x"}'])] == [1]


def test_the_form_is_described():
    assert infer_form(["spam", "ham"] * 10).describe() == "one of the labels ham, spam"
    assert infer_form(SQL).describe().startswith("code")
    assert "English" in infer_form(TEMPERATURES).describe()
    described = infer_form(['{"a": 1}'] * 3).describe()
    assert json.loads(described.removeprefix("JSON: "))["properties"]["a"]["type"]


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
    for value, output in zip(values, outputs, strict=True):
        # A scalar among many objects is a seed that is wrong.
        if form.schema is None or isinstance(value, dict | list):
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


def test_types_are_said_once_and_lists_of_objects_by_their_fields():
    few = [{"lines": [{"name": "a", "price": 1}], "notes": [None], "tags": ["x"]}] * 6
    said = describe_fields(infer_form([json.dumps(value) for value in few]).schema)
    assert "null or null" not in said
    assert "lines (list of (object of name, price or null) or null)" in said
    assert "tags (list of (string or null) or null)" in said
    assert "notes (list of anything or null)" in said


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (["0", "1", "2"] * 5, "3 different outputs of 15 seeds"),
        (["yes"] * 15 + ["no"] * 14 + ["unsure"], "Seldom here: 'unsure' 1"),
        (["x" * 40, "y" * 40] * 7, "2 different outputs of 14 seeds"),
    ],
)
def test_what_looks_like_labels_and_is_no_closed_set_yet_is_said(outputs, said):
    assert infer_form(outputs).labels == frozenset()
    found = what_labels_lack(outputs)
    assert said in found
    assert "from 20 seeds or more, each label in 5 of them" in found


@pytest.mark.parametrize(
    "outputs",
    [
        [f"Answer {n}" for n in range(30)],
        ["the same"] * 30,
        ["a long sentence that is no label at all"[:n] * 2 for n in (30, 31, 32)] * 10,
    ],
    ids=["different", "one", "long"],
)
def test_free_text_lacks_nothing(outputs):
    assert what_labels_lack(outputs) is None


@pytest.mark.parametrize(("seeds", "is_required"), [(39, False), (40, True)])
def test_a_key_that_40_seeds_have_is_required(seeds, is_required):
    outputs = [json.dumps({"name": f"n{n}", "room": n}) for n in range(seeds)]
    assert (infer_form(outputs).problem('{"name": "n1"}') is not None) == is_required


@pytest.mark.parametrize(("sightings", "is_closed"), [(4, False), (5, True)])
def test_an_object_is_closed_where_each_key_was_seen_five_times(sightings, is_closed):
    outputs = [json.dumps({"name": f"n{n}"}) for n in range(60)]
    outputs += [json.dumps({"name": f"m{n}", "room": n}) for n in range(sightings)]
    assert (infer_form(outputs).problem('{"name": "n1", "floor": 2}') is not None) == is_closed


def test_a_text_of_any_length_is_still_a_text():
    """With few seeds nothing is said of its length."""
    form = infer_form([json.dumps({"note": "x" * n}) for n in (3, 90, 400)])
    assert form.problem('{"note": "anything at all"}') is None
    assert form.problem('{"note": 7}') is not None
    assert form.problem('{"note": null}') is None, "absence needs more seeds"
