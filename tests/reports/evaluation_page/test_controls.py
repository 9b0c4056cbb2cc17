"""The controls of the table of every prompt: their words are whole, and say what they do."""

import pytest

from tests.html_page import Page

_CUT = """
const pen = document.createElement('canvas').getContext('2d');
const room = (control) => {
  const style = getComputedStyle(control);
  pen.font = style.font;
  return control.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
};
const isCut = (control, text, arrow) => pen.measureText(text).width + arrow > room(control);
const cut = [];
for (const select of document.querySelectorAll('#filters select')) {
  room(select);
  for (const option of select.options) {
    if (isCut(select, option.text, 16)) cut.push(option.text);
  }
}
const search = document.querySelector('#filters input');
room(search);
if (isCut(search, search.placeholder, 0)) cut.push(search.placeholder);
return cut;
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_no_word_of_a_filter_is_cut_off(browser, text, tmp_path, width):
    file = tmp_path / "evaluation.html"
    file.write_text(text, encoding="utf-8")
    browser.open(file.as_uri(), width)
    assert browser.run("return document.querySelectorAll('#filters select').length") == 5
    assert browser.run(_CUT) == []
    assert browser.overflow() == 0


def test_the_pages_of_the_table_are_previous_and_next(text):
    buttons = [attributes.get("id") for attributes in Page(text).all("button")]
    assert [name for name in buttons if name in ("previous", "next")] == ["previous", "next"]
    assert ">Previous<" in text
    assert ">Next<" in text
