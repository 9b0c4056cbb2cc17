"""The labelling page over HTTP: what it shows, and what it refuses."""

import dataclasses
import html

import httpx
import pytest

from labelling.label_queue import LabelQueue
from tests.html_page import plain


@pytest.fixture
def client(serve, make_run):
    run = make_run()
    with httpx.Client(base_url=serve(run), follow_redirects=True) as opened:
        opened.run = run
        opened.headers["Origin"] = str(opened.base_url).rstrip("/")
        yield opened


def _key(page):
    return page.text.split('name="key" value="')[1].split('"')[0]


def test_raters_are_blind_to_who_answered_and_to_the_verdict(client):
    rows = client.run.answers
    page = html.unescape(client.get("/answer", params={"rater": "ada"}).text).lower()
    body = page.split("<main>")[1].split("</main>")[0]
    for text in {text for row in rows for text in (row.prompt, row.output, row.response)}:
        body = body.replace(text.lower(), "")
    for word in ("tuned", "base", "judge", "strict", "both", "similarity", "correctness"):
        assert word not in body
    assert not any(row.reason.lower() in page for row in rows)
    assert not any(f">{row.id}<" in page for row in rows)


def test_a_label_is_in_the_file_before_the_next_answer_is_shown(client):
    page = client.get("/answer", params={"rater": "ada"})
    key = _key(page)
    after = client.post(
        "/answer", data={"rater": "ada", "key": key, "label": "not covered", "reason": " a \n b "}
    )
    assert after.status_code == 200
    assert _key(after) != key
    row = LabelQueue(client.run).row(key)
    assert row.decisions["ada"] == ("not covered", "a b")


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
def test_a_form_of_another_site_labels_nothing(client, origin):
    key = _key(client.get("/answer", params={"rater": "ada"}))
    del client.headers["Origin"]
    headers = {} if origin is None else {"Origin": origin}
    form = {"rater": "ada", "key": key, "label": "covered"}
    assert client.post("/answer", data=form, headers=headers).status_code == 400
    assert LabelQueue(client.run).decided("ada") == 0


def test_another_host_name_is_refused(client):
    reply = client.get("/", headers={"Host": "attacker.example"})
    assert reply.status_code == 400
    assert "Support triage" not in reply.text


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"rater": "ada", "key": "KEY", "label": "perhaps"}, id="no such label"),
        pytest.param({"rater": "ada", "key": "0" * 24, "label": "covered"}, id="no such answer"),
        pytest.param({"rater": "ada", "label": "covered"}, id="no answer"),
        pytest.param({"rater": "", "key": "KEY", "label": "covered"}, id="nobody"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_the_page_never_sends_is_refused(client, form):
    key = _key(client.get("/answer", params={"rater": "ada"}))
    data = {name: value.replace("KEY", key) for name, value in form.items()}
    assert client.post("/answer", data=data).status_code == 400
    assert LabelQueue(client.run).sheet.raters == ()


def test_a_third_rater_is_told_who_the_two_are(client):
    key = _key(client.get("/answer", params={"rater": "ada"}))
    for rater in ("ada", "bob"):
        client.post("/answer", data={"rater": rater, "key": key, "label": "covered"})
    reply = client.get("/answer", params={"rater": "eve"})
    assert reply.status_code == 400
    assert "ada and bob" in reply.text


def test_texts_are_shown_as_texts(make_run, serve, verdict_rows):
    rows = [dataclasses.replace(row, response="<b onload=x>&amp;") for row in verdict_rows]
    page = httpx.get(f"{serve(make_run(rows))}/answer?rater=%3Ci%3E").text
    assert "&lt;b onload=x&gt;&amp;amp;" in page
    assert "<b onload" not in page
    assert "<i>" not in page


def test_the_overview_shows_how_far_two_raters_agree(client):
    answers = {"ada": ["covered", "covered", "not covered"], "bob": ["covered", "not covered"] * 2}
    for rater, labels in answers.items():
        for label in labels[:3]:
            key = _key(client.get("/answer", params={"rater": rater}))
            client.post("/answer", data={"rater": rater, "key": key, "label": label})
    page = client.get("/overview", params={"rater": "ada"}).text
    assert "3 of 12" in page
    assert "33.3 % of 3 equal" in plain(page)
    assert "contradict each other on 2 answers" in page


def test_a_reference_that_is_no_json_is_refused_and_kept_in_the_field(client):
    suspect = client.get("/reference", params={"rater": "ada"}).text
    assert "Prompt of t006" in suspect
    form = {"rater": "ada", "id": "t006", "choice": "edit", "text": '{"category": "sh'}
    reply = client.post("/reference", data=form)
    assert reply.status_code == 400
    assert "the edited reference is not" in reply.text
    assert "{&#34;category&#34;: &#34;sh</textarea>" in reply.text


def test_line_breaks_of_a_text_field_are_those_of_a_file(client):
    form = {"rater": "ada", "id": "t006", "choice": "edit", "text": '{\r\n"a": 1}'}
    client.post("/reference", data=form)
    decision = client.run.folder / "references.jsonl"
    assert '{\\n\\"a\\": 1}' in decision.read_text(encoding="utf-8")
