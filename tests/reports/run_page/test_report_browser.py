"""The report in a browser: filters, widths, and a policy that is kept."""

import pytest
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

_SET = """
const field = document.querySelector('#filters [name={name}]');
field.value = {value!r};
field.dispatchEvent(new Event('input', {{bubbles: true}}));
return [
  document.querySelectorAll('#table tr.row').length,
  document.getElementById('count').textContent,
];
"""


def choose(browser, name, value):
    return browser.run(_SET.format(name=name, value=value))


def test_filters_show_the_rows_that_fit_and_count_them(browser, results, verdict_rows):
    browser.open((results / "report.html").as_uri(), 1280)
    tuned = [row for row in verdict_rows if row.model == "tuned"]
    seed = [row for row in tuned if row.split == "seed"]
    covered = [row for row in seed if row.covered]
    tagged = [row for row in covered if "polite" in row.tags]
    for name, value, rows in (
        ("split", "seed", seed),
        ("verdict", "covered", covered),
        ("tag", "polite", tagged),
    ):
        assert rows, "the fixture has such rows"
        assert choose(browser, name, value) == [min(50, len(rows)), f"{len(rows)} of 60 shown"]
    for name in ("split", "verdict", "tag"):
        choose(browser, name, "")
    words = tuned[0].prompt[:20]
    shown, _ = choose(browser, "text", f"  {words.upper()} ")
    assert shown == sum(words.lower() in row.prompt.lower() for row in tuned)
    assert choose(browser, "text", "no such text") == [0, "0 of 60 shown"]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_as_wide_as_the_screen(browser, results, width):
    browser.open((results / "report.html").as_uri(), width)
    assert browser.overflow() == 0
    assert browser.requested() == [(results / "report.html").as_uri()], "from disk alone"
    assert browser.run("return getComputedStyle(document.body).paddingLeft") == "16px", "styled"
    assert browser.complaints() == []


@pytest.mark.parametrize("opened", [False, True], ids=["as it opens", "all parts opened"])
def test_axe_finds_nothing(browser, results, opened):
    url = (results / "report.html").as_uri()
    assert browser.audit(url, opened=opened) == []
    shown = browser.run("return document.querySelectorAll('details.later > :nth-child(3)').length")
    assert shown == 3 * opened, "artifacts, versions, configuration"


def test_a_wide_table_is_scrolled_by_keyboard_and_shows_that_there_is_more(browser, results):
    browser.open((results / "report.html").as_uri(), 390)
    table = "document.querySelector('#coverage .wide')"
    assert browser.run(f"return {table}.scrollWidth > {table}.clientWidth")
    assert "gradient" in browser.run(f"return getComputedStyle({table}).backgroundImage")
    browser.run(f"{table}.focus()")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    browser.wait_for(f"{table}.scrollLeft > 0")
