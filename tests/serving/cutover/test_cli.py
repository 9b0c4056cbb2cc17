"""The commands on real traffic as a person types them: options, exit status and messages."""

import json
import re
import subprocess
import sys

import httpx
import pytest

import local_runner
from core import artifact_files
from core.reports.confidence import ConfidenceReport
from core.reports.watch import WatchReport
from serving.cutover import confidence
from tests.serving.gateway.harness import harness

PRESET = "offline"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a command line; its exit status and what it printed."""
    monkeypatch.delenv("UNDERSTUDY_STANDIN_URL", raising=False)

    def run(*arguments):
        override = ("--set", f"output_dir={tmp_path / 'output'}")
        try:
            status = local_runner.main([*arguments, *override])
        except SystemExit as ended:
            status = ended.code
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    run.output = tmp_path / "output"
    return run


@pytest.fixture
def gateway():
    """A gateway that serves the task of the preset, and its port."""
    with harness() as servers:
        task = servers.task(
            name="support_triage", output_schema=None, samples=(), context_length=4096
        )
        servers.start(servers.settings(), [task])
        servers.port = servers.url.rpartition(":")[2]
        yield servers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cutover"], r"offline captures none: set serving\.capture\.enabled=true"),
        (
            ["cutover", "--port", "9", "--set", "serving.capture.enabled=true"],
            "No gateway answers on port 9",
        ),
        (
            ["cutover", "--steps", "a,b", "--set", "serving.capture.enabled=true"],
            "'a,b' is not a list of percentages",
        ),
        (["cutover", "--back", "--port", "9"], "No gateway answers on port 9"),
        (["serve", "mode", "--port", "9"], "No gateway answers on port 9"),
        (["watch", "--once", "--port", "9"], "No gateway answers on port 9"),
        (["confidence"], r"no .*summary\.json"),
        (["verdict"], "no captured exchange of support_triage"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_sentence_and_status_2(run, arguments, message):
    status, printed = run(*arguments)
    assert (status, bool(re.search(message, printed))) == (2, True), printed


def test_serve_mode_changes_and_prints_the_mode_of_a_gateway(run, gateway):
    status, printed = run("serve", "mode", "canary", "--percent", "5", "--port", gateway.port)
    assert (status, "The gateway's mode is canary, 5 % of the users" in printed) == (0, True)
    mode = httpx.get(f"{gateway.url}/understudy/status").json()["mode"]
    assert (mode["mode"], mode["canary_percent"], mode["set_by"]) == ("canary", 5, "serve mode")
    assert "mode is canary" in run("serve", "mode", "--port", gateway.port)[1]
    status, printed = run("serve", "mode", "canarry", "--port", gateway.port)
    assert (status, "kept its mode: There is no mode 'canarry'" in printed) == (2, True)


def test_each_mode_is_set_by_its_word_and_the_last_one_is_kept(run, gateway, tmp_path):
    def start():
        task = gateway.task(measures_confidence=True, min_confidence=-0.5)
        settings = gateway.settings(capture=True)
        gateway.restart(settings, [task], state_dir=tmp_path / "state")

    def mode():
        return httpx.get(f"{gateway.url}/understudy/status").json()["mode"]["mode"]

    start()
    assert mode() == "failover"
    port = gateway.url.rpartition(":")[2]
    for word in ("shadow", "cascade", "private", "model", "failover", "canary"):
        status, printed = run("serve", "mode", word, "--port", port)
        assert (status, f"The gateway's mode is {word}" in printed) == (0, True), printed
        assert mode() == word
    start()
    assert mode() == "canary"


def test_cutover_goes_back_by_the_command_line(run, gateway):
    run("serve", "mode", "canary", "--percent", "5", "--port", gateway.port)
    status, printed = run("cutover", "--back", "--port", gateway.port)
    assert (status, "back to the service: asked for with --back" in printed) == (0, True)
    mode = httpx.get(f"{gateway.url}/understudy/status").json()["mode"]
    assert (mode["mode"], mode["set_by"]) == ("failover", "cutover")


def test_cutover_goes_back_where_a_gateway_alone_is_installed(run, gateway):
    """Without NumPy, in a process of its own."""
    httpx.post(f"{gateway.url}/understudy/mode", json={"mode": "canary", "canary_percent": 5})
    arguments = ["cutover", "--back", "--port", gateway.port, "--set", f"output_dir={run.output}"]
    code = (
        "import sys; sys.modules['numpy'] = None; import local_runner; "
        f"sys.exit(local_runner.main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert httpx.get(f"{gateway.url}/understudy/status").json()["mode"]["mode"] == "failover"


def test_cutover_back_leaves_the_mode_private(run, gateway):
    run("serve", "mode", "private", "--port", gateway.port)
    status, printed = run("cutover", "--back", "--port", gateway.port)
    assert (status, "the mode stays private" in printed) == (0, True), printed
    mode = httpx.get(f"{gateway.url}/understudy/status").json()["mode"]
    assert (mode["mode"], mode["set_by"]) == ("private", "serve mode")


def test_cutover_is_refused_by_a_gateway_that_captures_nothing(run, gateway):
    capture = ("--set", "serving.capture.enabled=true")
    status, printed = run("cutover", "--port", gateway.port, *capture)
    assert (status, "the gateway is not capturing: start it with" in printed) == (2, True), printed


def test_watch_once_exits_with_status_4_at_an_alarm(run, gateway):
    options = ("watch", "--once", "--port", gateway.port, "--set", "serving.watch.prompts=2")
    status, printed = run(*options)
    assert (status, "No drift." in printed) == (0, True), printed
    file = run.output / artifact_files.WATCH
    [look] = WatchReport.read(str(file)).looks
    assert (look.service.total, look.model.total, look.round) == (2, 2, 3)
    values = json.loads(file.read_text())
    values["looks"][0]["service_versions"] = ["another model"]
    file.write_text(json.dumps(values))
    status, printed = run(*options)
    assert (status, "answered with another model before" in printed) == (4, True), printed
    assert len(WatchReport.read(str(file)).looks) == 2


def test_watch_checks_at_the_interval_of_the_preset(run, gateway, monkeypatch):
    asked = []

    def look_on(look, every_seconds, *, say):
        asked.append(every_seconds)
        look()
        raise KeyboardInterrupt  # a person ends it

    monkeypatch.setattr("serving.cutover.watch.look_on", look_on)
    hours = ("--set", "serving.watch.every_hours=6", "--set", "serving.watch.prompts=2")
    status, printed = run("watch", "--port", gateway.port, *hours)
    assert (status, asked) == (0, [6 * 3600]), printed
    assert "No drift." in printed


def test_confidence_measures_with_the_settings_given_and_writes_its_report(run, monkeypatch):
    async def measure(preset, scorer):  # the server of a model takes longer than all these tests
        return ConfidenceReport(
            task=preset.task.name, model_version="m", slots=4, scorer=scorer.name,
            wanted_percent=preset.settings.confidence.right_percent, chosen=None,
            reason="No threshold.", curve=(), rows={},
        )  # fmt: skip

    monkeypatch.setattr(confidence, "measure", measure)
    status, printed = run("confidence", "--set", "serving.confidence.right_percent=90")
    file = run.output / artifact_files.CONFIDENCE
    assert (status, f"No threshold.\nWrote {file}." in printed) == (0, True), printed
    report = ConfidenceReport.read(str(file))
    assert (report.task, report.wanted_percent) == ("support_triage", 90)
