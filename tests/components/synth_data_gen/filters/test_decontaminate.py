import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leak_texts import help_words
from components.synth_data_gen.filters.decontaminate import CoverageIndex, leak_finder
from core.records import CoverageRow

PROMPTS = [
    "My Nimbus Cam has been offline since this morning and I am leaving on a trip tonight!",
    "you charged me twice for the echo lamp, I want the second payment back",
    "Is the Terra Kettle able to keep water warm for an hour?",
    "Cancel order",
]
INDEX = CoverageIndex([CoverageRow(f"c{n}", p, "", "holdout") for n, p in enumerate(PROMPTS)])


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    "change",
    [str, str.upper, lambda p: p.replace(" ", "\n "), lambda p: f"«{p}»", lambda p: p.rstrip("!?")],
    ids=["verbatim", "upper", "spaces", "quoted", "unpunctuated"],
)
def test_a_verbatim_leak_has_similarity_one(number, change):
    assert INDEX.nearest(change(PROMPTS[number])) == (f"c{number}", 1.0)


def test_a_coverage_prompt_inside_a_longer_text_has_similarity_one():
    longer = f"Hello team, quick question. {PROMPTS[2]} Kind regards, Ada"
    assert INDEX.nearest(longer) == ("c2", pytest.approx(1.0))


def test_a_short_coverage_prompt_inside_a_longer_text_is_no_leak():
    near = INDEX.nearest("How do I cancel order 5521 and get my money for the blinds?")
    assert near.similarity < 0.6


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("My Nimbus Cam was offline since this morning and I'm leaving for a trip tonite", "c0"),
        (
            "Hello, my name is Ada and I live in Rome. You charged me twice for the lamp, so I"
            " want the second payment back. Kind regards and thank you for your patience.",
            "c1",
        ),
        ("for the echo lamp you charged me two times, I want the second payment back", "c1"),
    ],
    ids=["typing-errors", "put-inside-a-letter", "moved-words"],
)
def test_a_reworded_leak_is_close(text, row):
    near = INDEX.nearest(text)
    assert near.id == row
    assert near.similarity > 0.5


def test_another_message_about_the_same_product_is_far():
    near = INDEX.nearest("The Nimbus Cam shows stripes at night, is there a setting for it?")
    assert near.similarity < 0.4


ENGLISH = help_words()[:2000]
# All words of the coverage prompts, far apart.
SCATTERED = [word for prompt in PROMPTS for word in prompt.split()]
LONG = " ".join(
    " ".join([word, *ENGLISH[20 * n : 20 * n + 20]]) for n, word in enumerate(SCATTERED)
)


def test_a_long_text_is_no_leak_of_the_words_that_it_happens_to_contain():
    assert INDEX.nearest(LONG).similarity < 0.5


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_prompt_inside_a_long_text_is_a_leak(number):
    near = INDEX.nearest(f"{LONG} {PROMPTS[number]} {LONG}")
    assert near == (f"c{number}", pytest.approx(1.0))


def test_a_shared_product_name_is_little_evidence():
    asked = ["Where's my {}?", "Is the {} waterproof?", "My {} arrived broken"]
    names = ["Terra Kettle", "Quill Lock", "Vista Blind", "Forge Vacuum"]
    prompts = [text.format(name) for name in names for text in asked]
    index = CoverageIndex([CoverageRow(p, p, "", "seed") for p in prompts])
    for name in names:
        assert index.nearest(f"Can I pair two of the {name}?").similarity < 0.5
        assert index.nearest(f"Where is my {name}").similarity >= 0.5


def test_nothing_in_common_has_no_nearest_row():
    assert INDEX.nearest("Здравствуйте") is None


@given(st.text(st.characters(), max_size=60))
def test_similarity_lies_between_zero_and_one(text):
    near = INDEX.nearest(text)
    assert near is None or 0 <= near.similarity <= 1 + 1e-9
    assert CoverageIndex([CoverageRow("x", text, "", "seed")]).nearest(text) == ("x", 1.0)


@pytest.mark.parametrize(
    ("prompt", "row"), [("cancel order!", "c3"), ("Where is my parcel?", None)]
)
def test_a_leak_is_named_by_its_row(prompt, row):
    rows = [CoverageRow(f"c{n}", text, "", "holdout") for n, text in enumerate(PROMPTS)]
    assert leak_finder(rows, 0.9)(prompt) == row
    assert leak_finder([], 0.9)(prompt) is None
