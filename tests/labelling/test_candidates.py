"""Real requests become coverage rows when a person accepts them."""

import html

import httpx
import pytest

from core.candidates import CandidateRow
from core.errors import UserError
from core.records import CoverageRow
from labelling.candidates import CandidateQueue
from task.coverage.reader import read_coverage
from tests.evaluation import coverage_rows

CANDIDATES = (
    CandidateRow(
        "traffic-1", "The lamp <b>hums</b>", '{"category": "defect"}', ("defect",), "not covered"
    ),
    CandidateRow("traffic-2", "Do you sell in Chile?", '{"category": "other"}', (), "unlike"),
    CandidateRow("traffic-3", coverage_rows(1)[0].prompt, "{}", (), "not covered"),
)


@pytest.fixture
def queue(make_run):
    return CandidateQueue(make_run(candidates=CANDIDATES))


def from_traffic(queue):
    return {
        row.id: row
        for row in read_coverage(str(queue.rows_path.parent))
        if "from traffic" in row.tags
    }


def test_an_accepted_request_is_a_seed_row_at_once(queue):
    assert [row.id for row in queue.candidates] == ["traffic-1", "traffic-2"]  # 3 is a row already
    queue.decide(queue.next(), "accept", "", "ada")
    queue.decide(queue.next(), "edit", '{"category": "sales"}', "ada")
    rows = from_traffic(queue)
    assert (rows["traffic-1"].output, rows["traffic-1"].split) == (CANDIDATES[0].output, "seed")
    assert rows["traffic-1"].tags == ("defect", "from traffic")
    assert rows["traffic-2"].output == '{"category": "sales"}'
    assert queue.next() is None


@pytest.mark.parametrize("split", ["test", "holdout"])
def test_no_candidate_repeats_a_held_out_row(make_run, split):
    run = make_run(candidates=CANDIDATES)
    row = CoverageRow("sealed", "the lamp  <B>hums</B>", "{}", split)
    run.coverage_dir.joinpath("more.jsonl").write_text(f"{row.to_json()}\n", encoding="utf-8")
    queue = CandidateQueue(run)
    assert [each.id for each in queue.candidates] == ["traffic-2"]
    near = CoverageRow("near", "Do you sell in Chile, too?", "{}", split)
    run.coverage_dir.joinpath("near.jsonl").write_text(f"{near.to_json()}\n", encoding="utf-8")
    assert CandidateQueue(run).candidates == ()


def test_a_decision_that_would_make_the_dataset_unreadable_is_not_taken(queue):
    first, second = queue.candidates
    queue.decide(first, "accept", "", "ada")
    row = CoverageRow("sealed", second.prompt.upper(), "{}", "test")  # written since
    queue.rows_path.with_name("more.jsonl").write_text(f"{row.to_json()}\n", encoding="utf-8")
    with pytest.raises(UserError, match="the same prompt as at"):
        queue.decide(second, "accept", "", "ada")
    assert (queue.decided, queue.accepted, queue.next()) == (1, 1, second)
    assert set(from_traffic(queue)) == {"traffic-1"}
    queue.decide(second, "reject", "", "ada")
    assert queue.decided == 2


def test_accepted_candidates_stay_decided_when_resumed(make_run):
    run = make_run(candidates=CANDIDATES)
    queue = CandidateQueue(run)
    queue.decide(queue.next(), "accept", "", "ada")
    resumed = CandidateQueue(run)
    assert (resumed.decided, resumed.accepted, resumed.next().id) == (1, 1, "traffic-2")


def test_a_rejected_one_is_none_and_decisions_resume(make_run):
    run = make_run(candidates=CANDIDATES)
    queue = CandidateQueue(run)
    queue.decide(queue.next(), "reject", "", "ada")
    assert not queue.rows_path.exists()
    resumed = CandidateQueue(run)
    assert (resumed.decided, resumed.accepted, resumed.next().id) == (1, 0, "traffic-2")


def test_rows_of_an_earlier_verdict_stay(make_run):
    queue = CandidateQueue(make_run(candidates=CANDIDATES[:1]))
    queue.decide(queue.next(), "accept", "", "ada")
    later = CandidateQueue(make_run(candidates=CANDIDATES[1:2]))
    later.decide(later.next(), "accept", "", "bob")
    assert set(from_traffic(later)) == {"traffic-1", "traffic-2"}


@pytest.mark.parametrize(("text", "problem"), [(" ", "is empty"), ("other", "is not: 'other'")])
def test_a_reference_that_cannot_be_one_is_refused(queue, text, problem):
    with pytest.raises(UserError, match=problem):
        queue.decide(queue.next(), "edit", text, "ada")
    assert queue.decided == 0


def test_the_page_asks_and_the_overview_counts(serve, make_run):
    with httpx.Client(base_url=serve(make_run(candidates=CANDIDATES))) as client:
        client.follow_redirects = True
        client.headers["Origin"] = str(client.base_url).rstrip("/")
        page = client.get("/candidate", params={"rater": "ada"})
        assert "&lt;b&gt;hums&lt;/b&gt;" in page.text
        assert "0</b> of 2 candidates" in page.text
        form = {"rater": "ada", "id": "traffic-1", "choice": "edit", "text": "no JSON"}
        assert client.post("/candidate", data=form).status_code == 400
        after = client.post("/candidate", data={**form, "choice": "accept"})
        assert "Do you sell in Chile?" in html.unescape(after.text)
        overview = client.get("/overview", params={"rater": "ada"}).text
        assert "<b>1 of 2</b> candidates from traffic decided" in overview
        assert "1 requests have become coverage rows" in overview
        unknown = client.post("/candidate", data={**form, "id": "unknown"})
        assert unknown.status_code == 400
