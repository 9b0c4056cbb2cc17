"""`attributes.yaml` is read as it was written; what people or disks made of it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.attributes import read_attributes, write_attributes
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from core.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["a\x85b", "0\x85", "\u2028", "a\ufeff", "a: b", "- a", "# a", "2026-01-01", "no", "", " ", "'"]
)
TEXTS = st.lists(TEXT, max_size=3)
SETS = st.builds(AttributeSets, **dict.fromkeys(AttributeSets.model_fields, TEXTS))


@given(sets=SETS)
def test_what_was_written_is_read(sets):
    text = write_attributes(sets)
    assert read_attributes(text.encode().decode(), "attributes.yaml") == sets


@given(sets=SETS, data=st.data())
def test_damage_is_told_or_leaves_lists_of_texts(sets, data):
    text = write_attributes(sets)
    start = data.draw(st.integers(0, len(text)), "start")
    damage = data.draw(st.text(max_size=6), "damage")
    try:
        found = read_attributes(text[:start] + damage + text[start + 2 :], "attributes.yaml")
    except UserError:
        return
    assert all(isinstance(text, str) for texts in found.model_dump().values() for text in texts)


def test_a_tag_that_does_not_fit_is_told():
    with pytest.raises(UserError, match=r"^attributes\.yaml: .*a tag does not fit"):
        read_attributes("attributes: !!bool x", "attributes.yaml")


@given(text=st.text())
def test_any_text_is_attributes_or_told(text):
    with pytest.raises(UserError, match=r"^attributes\.yaml: "):
        read_attributes(text, "attributes.yaml")


@pytest.mark.parametrize(
    "text",
    ["", "- a", "attributes:", "attributes: {tone: [1]}", "[" * 5000, "attributes: 2026-99-99",
     "attributes: !!python/object:os.system {}", "a: &a [*a]"],
)  # fmt: skip
def test_odd_files(text):
    with pytest.raises(UserError, match=r"attributes\.yaml: "):
        read_attributes(text, "attributes.yaml")


def test_attributes_that_a_preset_leaves_out_stay_open():
    found = SynthSettings(attributes={"tone": ["angry"]}).attributes
    assert found == AttributeSets(
        **{n: [] for n in AttributeSets.model_fields} | {"tone": ["angry"]}
    )
