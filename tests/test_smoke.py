"""The whole loop as a user starts it: the `smoke` preset, two rounds, all offline."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

from core import artifact_files
from core.reports.loop import LoopSummary
from task.coverage.reader import read_coverage
from tests.html_page import Page, plain
from tests.nodes import NODES

KEY = "s3cret-key-0123456789"
ROOT = Path(__file__).resolve().parents[1]
CACHED_IN_ROUND_2 = {"CoverageExampleGen", "SchemaGen", "BaseResponseGen", "FewShotResponseGen"}

pytestmark = pytest.mark.slow


def command(output, *overrides):
    # What is not the default is in the whole loop, too: where a second round's training starts.
    values = [
        f"output_dir={output}",
        "rounds.warm_start=best",
        "service_llm.api_key_env=SMOKE_KEY",
        *overrides,
    ]
    pairs = [part for value in values for part in ("--set", value)]
    return [sys.executable, "local_runner.py", "run", "--preset", "smoke", *pairs]


@pytest.fixture(autouse=True, scope="module")
def key():
    """Of the service LLM: the stand-in takes any."""
    os.environ["SMOKE_KEY"] = KEY
    yield
    del os.environ["SMOKE_KEY"]


def run(output, *overrides):
    environment = {k: v for k, v in os.environ.items() if k != "UNDERSTUDY_STANDIN_URL"}
    return subprocess.run(
        command(output, *overrides),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def summary_of(output):
    return LoopSummary.read(str(output / "summary.json"))


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("smoke") / "output"


@pytest.fixture(scope="module")
def finished(output):
    done = run(output)
    assert done.returncode == 0, done.stderr
    return done


def test_the_loop_shows_itself_and_says_where_everything_is(finished, output):
    assert re.search(r"Round 1: coverage rate [\d.]+ % \(holdout\)", finished.stderr)
    for component in NODES:
        cached = int(component in CACHED_IN_ROUND_2)
        assert finished.stderr.count(f"  {component} finished after") == 2 - cached
        assert finished.stderr.count(f"  {component} is cached") == cached
    assert "0 % is expected: random:gemma3-tiny has random weights." in finished.stdout
    assert "understudy serve --preset smoke" in finished.stdout
    assert str(output / "report.html") in finished.stdout
    chatter = re.compile(r"WARNING|Traceback|TensorFlow|absl|httpx")
    assert not chatter.search(finished.stderr + finished.stdout)
    assert "Component Trainer is finished" in (output / "run.log").read_text(encoding="utf-8")


@pytest.mark.usefixtures("finished")
def test_the_summary_accounts_for_both_rounds(output):
    summary = summary_of(output)
    assert (summary.stop_reason, summary.stand_in) == ("max_rounds", True)
    first, second = summary.rounds
    assert second.synthesis.total_rows == first.synthesis.kept + second.synthesis.kept
    for entry in (first, second):
        holdout = entry.report.models["tuned"].holdout
        assert (holdout.total, entry.blessed) == (4, False)
        assert {node.node for node in entry.components} == set(NODES)
        assert entry.training.steps == 4
        assert entry.usage.calls > 0
        for uri in (entry.artifacts.synthetic, entry.artifacts.report, entry.artifacts.model):
            assert Path(ROOT, uri).is_dir()
    assert [e.started_from for e in (first, second)] == [None, 1]
    before, after = (e.training for e in (first, second))
    assert after.eval_loss_before < before.eval_loss_before, "it begins with what was learned"
    cached = {node.node for node in second.components if node.cached}
    assert cached == CACHED_IN_ROUND_2
    models = {"tuned", "base", "few_shot", "service"}
    assert set(first.report.models) == set(second.report.models) == models


def linked_from(page):
    """All files and folders that a page and the pages it links to lead to, without other sites."""
    found, left = set(), [page]
    while left:
        here = left.pop()
        links = [a["href"] for a in Page(here.read_text(encoding="utf-8")).all("a")]
        for link in links:
            if "://" in link or link.startswith("#"):
                continue
            there = (here.parent / urllib.parse.unquote(link.partition("#")[0])).resolve()
            assert there.exists(), f"{here} links to {link}, which is not there"
            if there not in found and there.suffix == ".html":
                left.append(there)
            found.add(there)
    return found


def files_of(summary, output):
    """What the report has to lead to."""
    wanted = [output / "run.log"]
    for entry in summary.rounds:
        at = entry.artifacts
        wanted += [
            Path(at.report, artifact_files.EVALUATION_PAGE),
            Path(at.synthetic, artifact_files.DATASET_PAGE),
            Path(at.synthetic, artifact_files.CARD),
            Path(at.model, artifact_files.SERVING_FOLDER),
        ]
        if entry.pushed:
            wanted.append(Path(entry.pushed.destination, "main", artifact_files.CARD))
    return {Path(ROOT, path).resolve() for path in wanted}


def assert_linked(output):
    report = (output / "report.html").resolve()
    wanted = files_of(summary_of(output), output)
    assert wanted <= linked_from(report)
    for page in (path for path in wanted if path.suffix == ".html"):
        assert report in linked_from(page), f"{page} does not lead back"


@pytest.mark.usefixtures("finished")
def test_all_pages_of_a_run_are_linked_and_every_link_leads_to_a_file(output):
    assert len(summary_of(output).rounds) == 2
    assert_linked(output)


@pytest.mark.usefixtures("finished")
def test_the_report_says_that_0_percent_is_expected(output):
    text = (output / "report.html").read_text(encoding="utf-8")
    assert "0 % is expected: random:gemma3-tiny has random weights." in plain(text)


@pytest.mark.usefixtures("finished")
def test_a_second_run_comes_from_the_cache_and_pays_for_nothing(output):
    before = {path: path.stat().st_size for path in (output / "journal").iterdir()}
    rounds = summary_of(output).rounds
    done = run(output)
    assert done.returncode == 0, done.stderr
    again = summary_of(output).rounds
    assert all(node.cached for entry in again for node in entry.components)
    assert [e.report.models for e in again] == [e.report.models for e in rounds]
    assert [e.usage for e in again] == [e.usage for e in rounds]
    trainings = [
        [node.seconds for entry in loop for node in entry.components if node.node == "Trainer"]
        for loop in (rounds, again)
    ]
    assert trainings[0] == trainings[1], "work counts with the time that it took"
    assert {path: path.stat().st_size for path in (output / "journal").iterdir()} == before


@pytest.mark.usefixtures("finished")
def test_a_blessed_model_is_pushed_to_the_local_hub(output):
    done = run(output, "evaluator.gate.threshold_percent=0")
    assert done.returncode == 0, done.stderr
    summary = summary_of(output)
    assert (summary.stop_reason, len(summary.rounds)) == ("threshold_met", 1)
    assert summary.rounds[0].blessed
    ran = {node.node for node in summary.rounds[0].components if not node.cached}
    assert ran == {"LLMEvaluator", "Exporter", "HFPusher"}, (
        "another judgement generates nothing again"
    )
    hub = output / "hub"
    kinds = {path.relative_to(hub).parts[0] for path in hub.rglob("README.md")}
    assert kinds == {"models", "datasets", "spaces"}
    assert summary.rounds[0].pushed
    assert_linked(output)


def test_the_key_is_found_nowhere_and_prompts_not_in_logs(finished, output):
    files = [path for path in output.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert {".db", ".gz", ".html", ".json", ".jsonl", ".log"} <= kinds, kinds
    for path in files:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        assert KEY.encode() not in data, path
    logs = (output / "run.log").read_text(encoding="utf-8") + finished.stdout + finished.stderr
    assert KEY not in logs
    rows = read_coverage(str(ROOT / "data" / "coverage" / "smoke"))
    rows += read_coverage(str(ROOT / "data" / "coverage" / "support_triage"))
    assert not [row.prompt for row in rows if row.prompt in logs or row.output in logs]


def test_killed_in_the_second_round_the_same_command_goes_on(tmp_path, finished, output):
    other = tmp_path / "output"
    process = subprocess.Popen(
        command(other), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    trainings = (line for line in process.stderr if " Trainer is running" in line)
    assert next(trainings)
    assert next(trainings)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = sum(path.stat().st_size for path in (other / "journal").glob("*.jsonl"))
    done = run(other)
    assert done.returncode == 0, done.stderr
    first, second = summary_of(other).rounds
    assert all(node.cached for node in first.components)
    cached = {node.node for node in second.components if node.cached}
    assert {"CoverageExampleGen", "SynthDataGen", "Transform"} <= cached
    assert "ResponseGen" not in cached
    assert second.started_from == 1
    unbroken = summary_of(output).rounds[0]
    assert first.synthesis.kept == unbroken.synthesis.kept
    assert journal > 0
    calls = sum(e.usage.calls for e in summary_of(other).rounds)
    lines = [
        json.loads(line)
        for path in (other / "journal").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").split("\n")
        if line
    ]
    assert len(lines) == calls
    assert len({line["key"] for line in lines if line["error"] is None}) == len(lines)


def test_two_runs_in_one_folder_are_refused(tmp_path):
    process = subprocess.Popen(
        command(tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert "Round 1" in process.stderr.readline()
        second = run(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert second.returncode == 2
    assert "Another run is using" in second.stderr
