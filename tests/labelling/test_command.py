"""`understudy label` as a process of its own: it opens, is left, and resumes."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core.reports.loop import RoundArtifacts
from tests.records import loop_summary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(make_run, tmp_path):
    """Start the command on a run; give its process and the URL that it printed."""
    run = make_run()
    report = tmp_path / "report"
    report.mkdir()
    (report / "coverage_report.json").write_text(run.report.to_json(), encoding="utf-8")
    lines = "".join(f"{row.to_json()}\n" for row in run.verdicts)
    (report / "verdicts.jsonl").write_text(lines, encoding="utf-8")
    artifacts = RoundArtifacts(synthetic="", model="", report=str(report), exports="", pushed="")
    output = tmp_path / "output"
    output.mkdir()
    summary = loop_summary([artifacts], 1).to_json()
    (output / "summary.json").write_text(summary, encoding="utf-8")
    started = []

    def start(*options):
        process = subprocess.Popen(
            [
                sys.executable,
                "local_runner.py",
                "label",
                f"--set=output_dir={output}",
                f"--set=coverage_dir={run.coverage_dir}",
                *options,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                return process, found[0]
        raise AssertionError(process.stderr.read())

    start.output = output
    yield start
    for process in started:
        process.kill()
        process.communicate()


def _label(url, rater="ada"):
    page = httpx.get(f"{url}/answer", params={"rater": rater}).text
    key = re.search(r'name="key" value="(\w+)"', page)[1]
    form = {"rater": rater, "key": key, "label": "covered"}
    assert httpx.post(f"{url}/answer", data=form, headers={"Origin": url}).status_code == 303


def _sheet(command):
    return (command.output / "labels" / "round-1" / "labels.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_no_label_is_lost_whenever_the_command_ends(command, ending):
    process, url = command()
    _label(url)
    _label(url)
    process.send_signal(ending)
    process.wait()
    assert _sheet(command).count(",ada,covered,") == 2
    _, url = command()
    page = httpx.get(f"{url}/answer", params={"rater": "ada"}).text
    assert "<b>2</b> of 12 planned" in page


def test_ctrl_c_is_a_good_end(command):
    process, url = command()
    httpx.get(url)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "Run the same command to resume." in out


def test_a_second_page_on_the_same_labels_is_refused(command):
    command()
    with pytest.raises(AssertionError, match="Another `understudy label` is using"):
        command()


def test_a_round_that_does_not_exist_is_named(command):
    with pytest.raises(AssertionError, match="There is no round 7"):
        command("--round=7")


def test_a_port_that_is_taken_is_named(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"Port {port}"):
            command(f"--port={port}")
