"""Numbers keep their unit and get a minus; what is no number stays as it is."""

import pytest

from reports.rendering import render
from reports.typeset import typeset


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90 % of it", "90\u00a0% of it"),
        ("(73.9 to 85.0 %)", "(73.9 to 85.0\u00a0%)"),
        ("66 ms, 3.50 s and 12 min 05 s", "66\u00a0ms, 3.50\u00a0s and 12\u00a0min 05\u00a0s"),
        ("2 h 03 min", "2\u00a0h 03\u00a0min"),
        ("1 point", "1\u00a0point"),
        ("-8.7 points", "\u22128.7\u00a0points"),
        ("+2.0, -8.7 to (-1.5)", "+2.0, \u22128.7 to (\u22121.5)"),
    ],
)
def test_numbers_keep_their_unit_and_get_a_minus(text, wanted):
    assert typeset(text) == wanted


@pytest.mark.parametrize("text", ["121 of 150", "2 samples", "2026-12-01", "gemini-2.5", "-"])
def test_what_is_no_unit_and_no_minus_stays(text):
    assert typeset(text) == text


def test_pages_set_what_they_format(tmp_path):
    template = tmp_path / "page.html.j2"
    template.write_text("{{ 90 | percent }} {{ 0.066 | seconds }} {{ -8.71 | points }}")
    assert render(template) == "90.0\u00a0% 66\u00a0ms \u22128.7"
