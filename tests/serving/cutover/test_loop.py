"""The loop over real traffic: from a request at the gateway to a seed row of the next round."""

import argparse
import json
from types import SimpleNamespace

from core.candidates import CandidateRow
from labelling.candidates import CandidateQueue
from serving.cutover import commands
from task.coverage.reader import read_coverage
from tests.serving.cutover.conftest import ROWS, loading
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import GEMINI_PATH, gemini_request

RIGHT, WRONG = '{"category": "defect"}', '{"category": "returns"}'
STRANGE = "Please cancel the newsletter subscription number {n}"


def test_what_the_model_got_wrong_in_shadow_becomes_a_seed_row(servers, preset_of, capsys):
    preset = preset_of()
    asked = [f"{ROWS[0].prompt} since day {n}" for n in range(20)]
    asked += [STRANGE.format(n=n) for n in range(5)]

    async def model(request, reply):
        prompt = request.json["messages"][-1]["content"]
        await fakes.model(WRONG if prompt == asked[7] else RIGHT)(request, reply)

    servers.service.behavior = fakes.healthy(RIGHT)
    task = servers.task(output_schema=None, samples=())
    settings = servers.settings(mode="shadow", capture=True)
    servers.start(settings, [task], state_dir=preset.output_dir / "serving")
    servers.model.behavior = model
    for prompt in asked:
        servers.post(GEMINI_PATH, gemini_request(prompt))
    folder = preset.output_dir / "serving" / "capture"
    servers.wait_until(
        lambda: sum(file.read_bytes().count(b"\n") for file in folder.glob("*.jsonl")) == len(asked)
    )

    commands.verdict(argparse.Namespace(preset="triage.yaml", overrides=[]), loading(preset))
    said = capsys.readouterr().out
    assert "20 % of the last week's requests are like none of your coverage prompts" in said
    assert "Of 25 requests since" in said
    lines = (preset.output_dir / "candidates.jsonl").read_text().splitlines()
    found = [CandidateRow.from_json(line) for line in lines]
    assert [(row.prompt, row.why, row.output) for row in found if row.why == "not covered"] == [
        (asked[7], "not covered", RIGHT)
    ]
    assert [row.prompt in asked[20:] for row in found if row.why == "unlike"] == [True]

    coverage = preset.output_dir / "coverage"
    coverage.mkdir()
    (coverage / "rows.jsonl").write_text("".join(f"{row.to_json()}\n" for row in ROWS))
    (preset.output_dir / "labels").mkdir()
    run = SimpleNamespace(
        coverage_dir=coverage, folder=preset.output_dir / "labels", candidates=tuple(found)
    )
    queue = CandidateQueue(run)
    while (candidate := queue.next()) is not None:
        queue.decide(candidate, "accept", "", "ada")
    rows = {row.prompt: row for row in read_coverage(str(coverage))}
    assert len(rows) == len(ROWS) + 2
    assert (rows[asked[7]].split, json.loads(rows[asked[7]].output)) == (
        "seed", {"category": "defect"},
    )  # fmt: skip
    assert "from traffic" in rows[asked[7]].tags
