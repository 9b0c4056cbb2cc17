"""The table of every prompt in a browser: filters, order, addresses, downloads, print."""

import csv
import dataclasses
import io
import json

import pytest

from core.records import Vote
from reports.evaluation_page.page import render_evaluation
from reports.wording import verdict
from tests.evaluation import UNSCORED_ID, coverage_rows, verdicts_of
from tests.html_page import ATTACK

_SET = """
const field = document.querySelector(`#filters [name=${arguments[0]}]`);
field.value = arguments[1];
field.dispatchEvent(new Event('input', {bubbles: true}));
return document.getElementById('count').textContent;
"""


_IDS = "return [...document.querySelectorAll('#table tr.row button')].map(b => b.textContent)"


_OPEN = "return document.querySelector('#table [aria-expanded=true]')?.textContent"


@pytest.fixture
def shown(browser, tmp_path):
    """Opens a page from disk at a width."""

    def open_at(text, width, fragment=""):
        file = tmp_path / "evaluation.html"
        file.write_text(text, encoding="utf-8")
        browser.open(file.as_uri() + fragment, width)
        assert {url.partition("#")[0] for url in browser.requested()} <= {file.as_uri()}
        return browser

    return open_at


@pytest.mark.slow
def test_filters_show_what_fits_and_stand_in_the_address(shown, text, verdicts):
    browser = shown(text, 1280)
    rows = verdicts["tuned"]
    seed = [row for row in rows if row.split == "seed"]
    missed = [row for row in seed if not row.covered and row.scored]
    tag = next(tag for row in missed for tag in row.tags)
    tagged = [row for row in missed if tag in row.tags]
    for name, value, left in (
        ("split", "seed", seed),
        ("verdict", "not covered", missed),
        ("tag", tag, tagged),
    ):
        assert browser.run(_SET, name, value) == f"{len(left)} of 40 shown"
    assert sorted(browser.run(_IDS)) == sorted(row.id for row in tagged)
    again = shown(text, 1280, browser.run("return location.hash"))
    assert sorted(again.run(_IDS)) == sorted(row.id for row in tagged)
    assert again.complaints() == []


@pytest.fixture(scope="module")
def odd(verdicts, report_of):
    """A round that gained and lost, with a suspect reference and votes that differ: page, rows."""
    rows = {model: list(found) for model, found in verdicts.items()}
    for model, found in rows.items():
        for at, scores, of_reference in ((5, (1, 1), 1), (6, (5, 1), 5)):
            votes = tuple(
                Vote(score, score, of_reference, "Why.", place)
                for score, place in zip(scores, "ab", strict=True)
            )
            text = f"{model}: {found[at].response}"  # equal answers share their votes
            found[at] = dataclasses.replace(found[at], votes=votes, response=text)
    earlier = verdicts_of(coverage_rows(40), {"tuned": 0.6}, seed=1)["tuned"]
    report = report_of(rows, earlier=earlier)
    every = [row for found in rows.values() for row in found]
    return render_evaluation(report, every), report, rows


@pytest.mark.slow
def test_rows_are_found_by_what_needs_a_look(shown, odd):
    page, report, rows = odd
    browser = shown(page, 1280)
    tuned = rows["tuned"]
    served = {row.id for row in rows["service"] if row.covered}
    change = report.change.overall
    wanted = {
        ("kind", "service"): {row.id for row in tuned if not row.covered} & served,
        ("kind", "gained"): set(change.gained_ids),
        ("kind", "lost"): set(change.lost_ids),
        ("kind", "suspect"): {tuned[5].id},
        ("kind", "doubtful"): {tuned[6].id},
        ("verdict", "unscored"): {UNSCORED_ID},
        ("field", "category"): {
            row.id for row in tuned if '"not_' in row.response and row not in tuned[5:7]
        },
    }
    assert set(report.consistency.suspect_references) == {tuned[5].id}
    for (name, value), ids in wanted.items():
        assert ids, "the fixture has such rows"
        browser.run(_SET, name, value)
        assert set(browser.run(_IDS)) == ids, value
        address = browser.run("return location.hash")
        assert address == f"#prompts&{name}={value}"
        browser.run(_SET, name, "")
        browser.run("location.hash = arguments[0]", address)
        browser.wait_for(f"document.querySelectorAll('#table tr.row').length === {len(ids)}")
        assert set(browser.run(_IDS)) == ids, "the address leads to the same rows"
        browser.run("location.hash = '#prompts'")
        browser.wait_for("document.querySelectorAll('#table tr.row').length === 40")


@pytest.mark.slow
def test_every_column_sorts_up_and_down_and_the_order_is_in_the_address(shown, text, verdicts):
    browser = shown(text, 1280)
    worst_first = ["not covered", "unscored", "covered"]
    orders = {
        "id": lambda row: row.id,
        "verdict": lambda row: worst_first.index(verdict(row)),
        "split": lambda row: row.split,
        "prompt": lambda row: row.prompt.lower(),
        "fields": lambda row: -('"not_' in row.response),
    }
    assert browser.run(
        "return [...document.querySelectorAll('#table th')].map(th => th.dataset.by)"
    ) == list(orders)
    by_id = {row.id: row for row in verdicts["tuned"]}
    for by, key in orders.items():
        button = f"document.querySelector('[data-by={by}] button')"
        if by == "verdict":  # how it starts
            browser.run("document.querySelector('[data-by=id] button').click()")
        for is_down in (False, True):
            browser.run(f"{button}.click()")
            keys = [key(by_id[shown_id]) for shown_id in browser.run(_IDS)]
            assert len(keys) == 40
            assert keys == sorted(keys, reverse=is_down), (by, is_down)
            order = browser.run(f"return {button}.parentElement.ariaSort")
            assert order == ("descending" if is_down else "ascending")
        address = browser.run("return location.hash")
        assert address == f"#prompts&by={by}-"
        again = shown(text, 1280, address)
        assert [key(by_id[shown_id]) for shown_id in again.run(_IDS)] == keys


@pytest.mark.slow
@pytest.mark.parametrize(("width", "columns"), [(1280, 5), (390, 1)], ids=["1280", "390"])
def test_a_row_has_an_address_and_opens_with_the_difference_marked(
    shown, text, verdicts, width, columns
):
    row = next(row for row in verdicts["tuned"] if '"not_' in row.response)
    browser = shown(text, width, f"#{row.id}")
    assert browser.run(_OPEN) == row.id
    lefts = browser.run(
        "return [...document.querySelector('.answers').children]"
        ".map(e => Math.round(e.getBoundingClientRect().left))"
    )
    assert len(lefts) == 5, "reference, tuned, untuned, untuned with examples, service"
    assert len(set(lefts)) == columns
    marks = "return [...document.querySelectorAll('.tuned mark')].map(m => m.textContent)"
    assert browser.run(marks) == [f"not_{json.loads(row.output)['category']}"]
    assert browser.overflow() == 0
    assert browser.complaints() == []


_UNKNOWN = (
    "const told = document.getElementById('unknown'); return told.hidden ? '' : told.innerText"
)


@pytest.mark.slow
def test_a_row_of_the_last_look_has_an_address_and_an_unknown_one_is_told(shown, looked):
    report, rows = looked
    rows = [*rows, dataclasses.replace(rows[0], id="tags"), dataclasses.replace(rows[0], id="q&a")]
    text = render_evaluation(report, rows)
    test = next(row.id for row in rows if row.split == "test")
    browser = shown(text, 1280, f"#{test}")
    assert (browser.run(_OPEN), browser.run(_UNKNOWN)) == (test, "")
    for address, opened, told in (
        ("#t9999", test, 'There is no prompt "t9999" on this page.'),
        ("#q%26a", "q&a", ""),
        ("#50%", "q&a", 'There is no prompt "50%" on this page.'),
        ("#tags", "q&a", ""),
        ("#prompts&row=tags", "tags", ""),
        ("#prompts&row=t9999", None, 'There is no prompt "t9999" on this page.'),
    ):
        browser.run("location.hash = arguments[0]", address)
        browser.run("window.dispatchEvent(new HashChangeEvent('hashchange'))")
        assert (browser.run(_OPEN), browser.run(_UNKNOWN)) == (opened, told), address
    assert browser.complaints() == []


@pytest.mark.slow
def test_the_other_right_answers_are_drawn_and_found(shown, report_of, verdicts):
    first, *others = verdicts["tuned"]
    rows = [dataclasses.replace(first, references=("Another way.", ATTACK)), *others]
    browser = shown(render_evaluation(report_of({"tuned": rows}), rows), 1280, f"#{first.id}")
    drawn = browser.run("return document.querySelector('.answers .reference').innerText")
    assert drawn.count("Also right") == 2
    assert "Another way." in drawn
    assert ATTACK in drawn
    assert browser.run(_SET, "text", "another way") == "1 of 40 shown"
    assert browser.complaints() == []


@pytest.mark.slow
def test_two_thousand_prompts_are_drawn_a_page_at_a_time(shown, report_of, verdicts):
    many = {
        model: [
            dataclasses.replace(row, id=f"{row.id}-{copy}") for copy in range(50) for row in rows
        ]
        for model, rows in verdicts.items()
    }
    every = [row for rows in many.values() for row in rows]
    browser = shown(render_evaluation(report_of(many), every), 1280)
    nodes = "return document.querySelectorAll('*').length"
    assert browser.run("return document.getElementById('count').textContent") == (
        "2000 of 2000 shown"
    )
    assert browser.run(nodes) < 3000
    first = browser.run(_IDS)
    ends = (
        "return ['previous', 'next']"
        ".filter(id => document.getElementById(id).ariaDisabled === 'true')"
    )
    assert browser.run(ends) == ["previous"]
    browser.run("document.getElementById('next').click()")
    second = browser.run(_IDS)
    assert not set(first) & set(second)
    assert browser.run(ends) == []
    address = browser.run("return location.hash")
    assert address == "#prompts&page=2"
    browser.run("location.hash = '#prompts&page=40'")
    browser.wait_for("document.getElementById('place').textContent === 'page 40 of 40'")
    assert browser.run(ends) == ["next"]
    browser.run("location.hash = arguments[0]", address)
    browser.wait_for("document.getElementById('place').textContent === 'page 2 of 40'")
    assert browser.run(_IDS) == second
    browser.run("document.querySelector('#table tr.row button').click()")
    assert browser.run(nodes) < 3000


@pytest.mark.slow
def test_what_is_shown_can_be_downloaded(shown, text, verdicts):
    browser = shown(text, 1280)
    browser.run(
        "window.parts = []; const make = URL.createObjectURL.bind(URL);"
        "URL.createObjectURL = blob => { window.parts.push(blob); return make(blob); }"
    )
    browser.run(_SET, "split", "seed")
    browser.run(_SET, "kind", "service")
    browser.run("document.querySelector('[data-by=id] button').click()")
    for name in ("as-csv", "as-json"):
        browser.run(f"document.getElementById('{name}').click()")
    table, rows = browser.execute_async_script(
        "const done = arguments[0]; Promise.all(window.parts.map(part => part.text())).then(done)"
    )
    served = {row.id: row for row in verdicts["service"] if row.covered}
    wanted = sorted(
        (row for row in verdicts["tuned"] if row.split == "seed" and not row.covered
         and row.id in served),
        key=lambda row: row.id,
    )  # fmt: skip
    assert wanted, "the fixture has such rows"
    lines = list(csv.DictReader(io.StringIO(table)))
    objects = json.loads(rows)
    for line, made, row in zip(lines, objects, wanted, strict=True):
        assert line["id"] == made["id"] == row.id
        assert line["tuned"] == made["answers"]["tuned"]["text"] == row.response
        assert line["tuned_verdict"] == made["answers"]["tuned"]["verdict"] == verdict(row)
        assert line["service"] == made["answers"]["service"]["text"] == served[row.id].response
        assert (line["prompt"], line["reference"]) == (row.prompt, row.output)


@pytest.mark.slow
def test_a_print_leaves_the_rows_out(shown, text):
    browser = shown(text, 1280)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.run("return document.getElementById('prompts').offsetHeight") == 0


@pytest.mark.slow
def test_axe_finds_nothing_while_a_row_and_its_votes_are_open(browser, text, verdicts, tmp_path):
    file = tmp_path / "evaluation.html"
    file.write_text(text, encoding="utf-8")
    url = f"{file.as_uri()}#{verdicts['tuned'][0].id}"
    assert browser.audit(url, "document.querySelector('[aria-expanded=true]')", opened=True) == []
    assert browser.run("return document.querySelectorAll('.detail details[open]').length") == 4


@pytest.mark.slow
def test_texts_of_both_directions_keep_their_own(shown, report_of, verdicts):
    hebrew = "\u05e9\u05dc\u05d5\u05dd (3)"
    first, *others = verdicts["tuned"]
    rows = [dataclasses.replace(first, prompt=hebrew, response=hebrew), *others]
    browser = shown(render_evaluation(report_of({"tuned": rows}), rows), 1280, f"#{first.id}")
    directions = browser.run(
        "return [...document.querySelectorAll('.detail .text')]"
        ".map(e => [e.textContent === arguments[0], getComputedStyle(e).direction])", hebrew,
    )  # fmt: skip
    assert sorted(map(tuple, directions)) == [(False, "ltr"), (True, "rtl"), (True, "rtl")]
