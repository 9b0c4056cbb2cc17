"""A secret that a server quotes is not repeated, in whatever form; others' words are."""

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.secret_text import without

KEY = "sk-a+b/c=D e0123456789"


@pytest.mark.parametrize(
    "form",
    [
        str,
        quote,
        quote_plus,
        lambda key: quote(key, safe=""),
        lambda key: (
            quote(key, safe="").replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d")
        ),
        lambda key: base64.b64encode(key.encode()).decode(),
        lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    ],
    ids=["as it is", "path", "form", "whole", "small escapes", "Base64", "Base64 of URLs"],
)
def test_every_occurrence_in_every_form_is_left_out(form):
    quoted = form(KEY)
    text = without(KEY, f"{quoted} is wrong, not {quoted}")
    assert quoted.rstrip("=") not in text
    assert text.count("[key]") == 2
    assert "is wrong, not" in text


@pytest.mark.parametrize("length", range(8, len(KEY)))
def test_the_beginning_at_which_a_message_was_cut_off_is_left_out(length):
    assert without(KEY, f"Incorrect key {KEY[:length]}") == "Incorrect key [key]"


def test_a_shorter_beginning_may_be_a_word():
    assert without(KEY, f"ends in {KEY[:7]}") == f"ends in {KEY[:7]}"


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_a_text_stays_as_it_is(secret):
    assert without(secret, "as it is") == "as it is"


@given(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=4), st.text(), st.text())
def test_a_secret_never_remains(secret, before, after):
    assert secret not in without(secret, f"{before}{secret}{after}", mark="\0")
