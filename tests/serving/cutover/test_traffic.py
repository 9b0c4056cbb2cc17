"""What the coverage dataset does not know of real traffic, and candidates for its rows."""

import argparse
import json
from typing import ClassVar

import pytest

from core.candidates import CandidateRow
from core.captured import CapturedExchange
from core.conversation import chat_messages, user_turns
from core.records import CoverageRow
from core.reports.switch import SwitchReport
from core.usage import Usage
from judging.pairs import PairScore
from reports.verdict_page.page import render_verdict
from serving.cutover import commands
from serving.cutover.nearest import CoverageMap
from serving.cutover.traffic import candidates, unlike_traffic
from serving.cutover.verdict import make_candidates, make_verdict, verdict_text
from task.coverage.known import KnownPrompts
from tests.serving.cutover.conftest import ROWS, exchange, loading, shadow_lines

STRANGE = [
    "Please cancel the newsletter subscription number {n}",
    "¿Dónde compro en Chile, tienda {n}?",
]


def strange(count, begin):
    return [
        exchange(begin + n, prompt=STRANGE[n % 4 == 0].format(n=n), service='{"category": "other"}',
                 model=None)
        for n in range(count)
    ]  # fmt: skip


def test_unlike_requests_are_counted_and_clustered():
    lines = [*shadow_lines(60, 0.0), *strange(20, 5000)]
    found = unlike_traffic([CapturedExchange.from_json(x) for x in lines], CoverageMap(ROWS))
    assert (found.requests, found.unlike, found.unlike_percent) == (80, 20, 25.0)
    assert [cluster.requests for cluster in found.clusters] == [15, 5]
    assert "newsletter" in found.clusters[0].examples[0]


def test_many_unlike_requests_are_clustered_from_a_part_and_keep_their_share():
    line = json.loads(strange(1, 0)[0])
    traffic = [CapturedExchange.from_json(json.dumps({**line, "id": f"e{n}"})) for n in range(6000)]
    found = unlike_traffic(traffic, CoverageMap(ROWS))
    assert (found.unlike_percent, found.clustered) == (100.0, 1500)
    [cluster] = found.clusters
    assert (cluster.requests, cluster.percent) == (6000, 100.0)


def test_a_request_that_repeats_a_held_out_prompt_is_no_candidate(preset_of):
    sealed = CoverageRow("t1", "Please cancel  the newsletter", "{}", "test")
    lines = [
        exchange(n, prompt=prompt, service="s", model="worse")
        for n, prompt in enumerate(
            [
                "please cancel the newsletter",
                "Please cancel the newsletter!",
                ROWS[1].prompt,
                f"{ROWS[1].prompt}, please",
                ROWS[0].prompt,
                f"{ROWS[0].prompt}, please",
            ]
        )
    ]
    preset = preset_of(lines).model_copy(update={"coverage": (*ROWS, sealed)})
    rows = make_candidates(preset, make_verdict(preset, Judged()))
    assert [row.prompt for row in rows] == [f"{ROWS[0].prompt}, please"]


def talk(number, *, first, last):
    """A conversation of three turns."""
    values = json.loads(exchange(number, prompt=last, service='{"category": "x"}', model=None))
    said = [("user", first), ("assistant", "Which one?" * 40), ("user", last)]
    values["messages"] = [{"role": role, "text": text} for role, text in said]
    return CapturedExchange.from_json(json.dumps(values))


def test_a_conversation_is_compared_by_what_the_user_says_and_stays_one():
    like = talk(1, first="My kettle does not boil", last="any more")
    strange_one = talk(2, first="¿Dónde compro", last="en Chile?")
    found = unlike_traffic([like, strange_one], CoverageMap(ROWS))
    assert (found.requests, found.unlike) == (2, 1)
    [row] = candidates([like, strange_one], {}, found, KnownPrompts(ROWS))
    assert chat_messages(row.prompt)[0] == {"role": "user", "content": "¿Dónde compro"}
    assert user_turns(row.prompt) == 2


def test_a_cluster_whose_most_typical_requests_the_model_answered_gives_a_candidate_too():
    by_model = {"served_by": "model", "reason": "canary", "service": None}
    lines = [json.loads(line) for line in strange(20, 0)]
    traffic = [CapturedExchange.from_json(json.dumps(line)) for line in lines]
    typical = [cluster.ids[0] for cluster in unlike_traffic(traffic, CoverageMap(ROWS)).clusters]
    for line in lines:
        if line["id"] in typical:
            line.update(by_model)
    traffic = [CapturedExchange.from_json(json.dumps(line)) for line in lines]
    found = unlike_traffic(traffic, CoverageMap(ROWS))
    assert [cluster.requests for cluster in found.clusters] == [15, 5]
    rows = candidates(traffic, {}, found, KnownPrompts(ROWS))
    assert len(rows) == 2
    assert not {row.id.removeprefix("traffic-") for row in rows} & set(typical)


def test_an_answer_that_was_passed_on_although_it_is_out_of_form_is_no_candidate():
    lines = [json.loads(line) | {"reason": "F11"} for line in strange(20, 0)]
    traffic = [CapturedExchange.from_json(json.dumps(line)) for line in lines]
    found = unlike_traffic(traffic, CoverageMap(ROWS))
    assert (found.unlike, candidates(traffic, {}, found, KnownPrompts(ROWS))) == (20, [])


def test_only_the_last_week_counts():
    old = [json.loads(line) for line in strange(20, 0)]
    new = shadow_lines(10, 0.0)
    for line in old:
        line["time"] = line["time"].replace("2026-11-01", "2026-10-20")
    lines = [CapturedExchange.from_json(json.dumps(line)) for line in old]
    lines += [CapturedExchange.from_json(line) for line in new]
    assert unlike_traffic(lines, CoverageMap(ROWS)).unlike == 0


def test_the_verdict_writes_the_candidates_that_label_asks_about(preset_of, capsys):
    preset = preset_of([*shadow_lines(50, 0.1), *strange(20, 5000)])

    commands.verdict(argparse.Namespace(preset="triage.yaml", overrides=[]), loading(preset))
    lines = (preset.output_dir / "candidates.jsonl").read_text().splitlines()
    rows = [CandidateRow.from_json(line) for line in lines]
    whys = [row.why for row in rows]
    assert (whys.count("not covered") > 2, whys.count("unlike")) == (True, 2)
    assert all(row.output for row in rows)
    said = capsys.readouterr().out
    assert "28.57 % of the last week's requests are like none of your coverage prompts" in said
    assert f"{len(rows)} requests may become coverage rows: understudy label" in said
    assert (
        "Requests unlike your coverage prompts" in (preset.output_dir / "verdict.html").read_text()
    )


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        ("failover", {"model": None}),
        ("cascade", {"reason": "unsure"}),
        ("private, model, canary", {"served_by": "model", "reason": "canary", "service": None}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_loop_closes_in_modes_that_make_no_pairs(preset_of, capsys, mode, change):
    lines = [json.dumps(json.loads(line) | change) for line in shadow_lines(30, 0.1)]
    preset = preset_of([*lines, *strange(20, 5000)])

    commands.verdict(argparse.Namespace(preset="triage.yaml", overrides=[]), loading(preset))
    said = capsys.readouterr().out
    assert "40 % of the last week's requests are like none of your coverage prompts" in said
    rows = (preset.output_dir / "candidates.jsonl").read_text().splitlines()
    whys = [CandidateRow.from_json(row).why for row in rows]
    unsure = 15 if mode == "cascade" else 0  # the other half repeat prompts of the holdout
    assert (whys.count("unlike"), whys.count("not covered")) == (2, unsure)
    written = SwitchReport.read(str(preset.output_dir / "verdict.json"))
    assert (written.overall, written.traffic.unlike) == (None, 20)
    page = (preset.output_dir / "verdict.html").read_text()
    assert "Requests unlike your coverage prompts" in page
    assert 'id="prompts"' not in page


class Judged:
    """Scores pairs as their answers say."""

    name = "judge"
    pairs_cost_usd = None
    scores: ClassVar = {
        "both wrong": PairScore(0.0, 0.0, False, True, ""),
        "both right, not covered": PairScore(1.0, 1.0, False, True, ""),
        "worse": PairScore(1.0, 0.0, False, True, ""),
        "not scored": PairScore(1.0, 0.0, False, False, "unreadable"),
    }

    def score(self, pairs):
        good = PairScore(1.0, 1.0, True, True, "")
        return [self.scores.get(pair.response, good) for pair in pairs]

    def used(self):
        return Usage()


def test_what_the_model_did_not_cover_failed_at_or_was_unsure_of_becomes_a_candidate(preset_of):
    def line(number, model, **more):
        made = exchange(number, prompt=f"{ROWS[0].prompt} {number}", service="s", model=model)
        return json.dumps(json.loads(made) | more)

    failed = line(7, None, reason="model_failed")
    other = json.loads(line(8, "old", reason="unsure"))
    other["model"]["round"] = 2
    gone = {"service": None, "served_by": "model", "reason": "canary"}
    lines = [
        *(line(number, text) for number, text in enumerate(["covered", *Judged.scores], start=1)),
        *(line(6, "doubtful", reason="unsure"), failed, json.dumps(other), line(9, "m", **gone)),
    ]
    preset = preset_of(lines)
    report = make_verdict(preset, Judged())
    rows = {row.id: row for row in make_candidates(preset, report)}
    assert list(rows) == [f"traffic-e0000{n}" for n in (7, 6, 4, 3, 2)]  # the newest first
    assert {(row.output, row.tags, row.why) for row in rows.values()} == {
        ("s", ("defect",), "not covered")
    }
    assert [pair.id for pair in report.differing] == ["e00005", "e00004"]
    assert (report.unscored, report.overall.lost) == (1, 2)
    unscored = "could not be scored and count as not covered"
    assert f"1 of the pairs {unscored}." in verdict_text(report)
    assert f"1 of these pairs {unscored}" in render_verdict(report)


def test_however_many_are_not_covered_the_clusters_stay(preset_of):
    preset = preset_of([*strange(20, 0), *(
        exchange(100 + n, prompt=f"{ROWS[n % 3 * 2].prompt} {n}", service="s", model="worse")
        for n in range(250)
    )])  # fmt: skip
    rows = make_candidates(preset, make_verdict(preset, Judged()))
    assert [row.why for row in rows] == ["not covered"] * 188 + ["unlike"] * 2


def test_a_candidate_has_the_beginning_of_its_exchanges_id():
    line = json.loads(strange(1, 0)[0]) | {"id": "0123456789abcdef0123456789abcdef"}
    traffic = [CapturedExchange.from_json(json.dumps(line))]
    unlike = unlike_traffic(traffic, CoverageMap(ROWS))
    (row,) = candidates(traffic, {}, unlike, KnownPrompts([]))
    assert row.id == "traffic-0123456789ab"
