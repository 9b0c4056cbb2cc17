"""`understudy cutover` over a gateway between the stand-in and a scripted model, over real HTTP."""

import argparse
import itertools
import json
import re
import threading
import time
import types

import httpx
import pytest

from core.errors import UserError
from core.reports.cutover import BACK, DONE, CutoverReport
from service_llm.settings import ServiceLLMSettings
from serving.cutover import commands
from serving.running import RefusedError, RunningGateway
from standin.application import serve as serve_service
from standin.server import serve as serve_judge
from task.task import Task
from tests.serving.cutover.conftest import loading
from tests.serving.gateway.fakes import openai_chunk
from tests.serving.gateway.harness import harness

INSTRUCTION = "Triage a message to the support of Lumo Home: category and priority, as JSON."
PATH = "/v1beta/models/stand-in-demo:generateContent"
PROMPTS = [
    "The {n} lamp flickers", "I was charged {n} times", "Where is order {n}?", "Return parcel {n}",
]  # fmt: skip


class Model:
    """Answers as the stand-in does, until it is told to be bad."""

    def __init__(self, url):
        self._url = url
        self.is_bad = lambda: False
        self.layout = None
        self.fails = False
        self.asked = 0
        self._known = {}

    async def __call__(self, request, reply):
        self.asked += 1
        if self.fails:
            await reply.whole(b"{}", 503)
            return
        prompt = request.json["messages"][-1]["content"]
        if prompt not in self._known:
            body = {"systemInstruction": {"parts": [{"text": INSTRUCTION}]},
                    "contents": [{"parts": [{"text": prompt}]}]}  # fmt: skip
            async with httpx.AsyncClient() as client:
                answer = (await client.post(self._url + PATH, json=body)).json()
            self._known[prompt] = answer["candidates"][0]["content"]["parts"][0]["text"]
        text = self._known[prompt]
        if self.is_bad() and self.asked % 2:
            text = json.dumps({**json.loads(text), "category": "something else"})
        text = json.dumps(json.loads(text), indent=self.layout)
        await reply.begin_chunks()
        await reply.chunk(openai_chunk(text))
        await reply.chunk(openai_chunk(None, "stop"))
        usage = {"choices": [], "usage": {"prompt_tokens": 99, "completion_tokens": 9}}
        await reply.chunk(b"data: " + json.dumps(usage).encode() + b"\n\n")
        await reply.end_chunks()


class Traffic:
    """Users who ask the gateway, one after the other, until told to stop."""

    def __init__(self, url):
        self._url = url
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self.failed = 0
        self._thread.start()

    def _ask_on(self):
        number = 0
        with httpx.Client(headers={"x-goog-api-key": "a-key"}, timeout=60) as client:
            while not self._is_over.is_set():
                number += 1
                prompt = PROMPTS[number % len(PROMPTS)].format(n=number % 50)
                body = {"systemInstruction": {"parts": [{"text": INSTRUCTION}]},
                        "contents": [{"parts": [{"text": prompt}]}]}  # fmt: skip
                user = {"x-user": f"user {number}"}
                reply = client.post(self._url + PATH, json=body, headers=user)
                self.failed += reply.status_code != 200

    def stop(self):
        self._is_over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def service():
    with serve_service() as served:
        yield served


@pytest.fixture(scope="module")
def judge():
    with serve_judge() as served:
        yield served


@pytest.fixture
def run(service, preset_of, capsys, request):
    """Runs the command while users ask; what it printed and its report.

    JSON fields are compared, unless the test has a judge.
    """
    scorer = {}
    if "judge" in request.fixturenames:
        url = request.getfixturevalue("judge").url
        llm = ServiceLLMSettings(
            provider="gemini", model="stand-in-demo", base_url=url, requests_per_minute=100_000
        )
        scorer = {"scorer": "judge", "judge": llm}
    with harness() as servers:
        settings = {
            "sticky_header": "x-user",
            "canary_percent": 0,
            "cutover": {"min_requests": 10, "min_pairs": 20, "max_latency_ratio": 1000},
            "margin_points": 8,
        }
        preset = preset_of(service_url=service.url, **scorer, **settings)
        preset = preset.model_copy(
            update={"task": Task(name="support_triage", instruction=INSTRUCTION), "coverage": ()}
        )
        model = Model(service.url)
        servers.model.behavior = model
        task = servers.task(
            name="support_triage",
            instruction=INSTRUCTION,
            output_schema=None,
            samples=(),
            context_length=4096,
        )
        state = preset.output_dir / "serving"
        servers.start(preset.settings, [task], state_dir=state)

        def command(*, is_bad=lambda: False, fails=False, back=False, steps="10,50", to=100.0):
            model.is_bad, model.fails = is_bad, fails
            traffic = Traffic(servers.url)
            arguments = argparse.Namespace(
                preset="triage.yaml", overrides=[], to=to, steps=steps, back=back, every=0.05,
                port=int(servers.url.rpartition(":")[2]),
            )  # fmt: skip
            try:
                commands.cutover(arguments, loading(preset))
            finally:
                traffic.stop()
                command.said = capsys.readouterr().out
                command.failed = traffic.failed
            file = preset.output_dir / "cutover.json"
            command.report = CutoverReport.read(str(file)) if file.is_file() else None
            return command.report

        command.mode = lambda: httpx.get(f"{servers.url}/understudy/status").json()["mode"]
        # Not over HTTP: the model asks from the very loop that would answer.
        command.percent = lambda: json.loads((state / "mode.json").read_text())["canary_percent"]
        command.model = model
        command.file = preset.output_dir / "cutover.json"
        yield command


@pytest.mark.slow
def test_a_good_model_gets_every_user_and_one_command_takes_them_back(run):
    report = run()
    assert report.status == DONE
    assert (run.mode()["mode"], run.mode()["canary_percent"]) == ("canary", 100)
    assert run.failed == 0
    with pytest.raises(UserError, match=r"is done: the model answers 100 % .* --back"):
        run()
    assert run(back=True).status == BACK
    assert run.mode()["mode"] == "failover"


def test_a_bad_model_goes_back_by_itself_at_the_first_step(run):
    with pytest.raises(SystemExit, match=r"^4$"):
        run(is_bad=lambda: True)
    report = CutoverReport.read(str(run.file))
    assert (report.status, report.step, run.mode()["mode"]) == (BACK, 0, "failover")
    assert "back to the service: worse" in run.said
    assert run.failed == 0


def test_a_model_that_gives_no_answer_goes_back_and_the_service_covers_it(run):
    with pytest.raises(SystemExit, match=r"^4$"):
        run(fails=True, steps="50")
    assert (CutoverReport.read(str(run.file)).status, run.mode()["mode"]) == (BACK, "failover")
    assert "back to the service: the model failed at" in run.said
    assert run.failed == 0


def test_a_judge_sends_a_bad_model_back_too(run, judge):
    with pytest.raises(SystemExit, match=r"^4$"):
        run(is_bad=lambda: True)
    report = CutoverReport.read(str(run.file))
    assert (report.status, report.step, run.mode()["mode"]) == (BACK, 0, "failover")
    assert "back to the service: worse" in run.said
    assert run.failed == 0


@pytest.mark.slow
def test_a_judge_lets_a_model_pass_that_says_the_same_in_another_form(run, judge):
    run.model.layout = 1
    before = judge.stats()["answered"]
    assert run().status == DONE
    assert judge.stats()["answered"] > before  # other texts than the service's: each was judged
    assert (run.mode()["mode"], run.mode()["canary_percent"], run.failed) == ("canary", 100, 0)


@pytest.mark.slow
def test_a_model_that_turns_bad_half_way_goes_back_from_there(run):
    with pytest.raises(SystemExit, match=r"^4$"):
        run(is_bad=lambda: run.percent() > 10)
    report = CutoverReport.read(str(run.file))
    assert (report.status, run.mode()["mode"]) == (BACK, "failover")
    assert [event.percent for event in report.events] == [10, 50, 0]


@pytest.mark.slow
def test_a_model_that_turns_slow_half_way_goes_back_from_there(run, monkeypatch):
    """Its clock alone goes on while it answers: ten hours, which nobody waits for."""
    added = itertools.count(step=36_000)
    clock = types.SimpleNamespace(monotonic=lambda: time.monotonic() + clock.added, added=0)

    def slow_down():
        if run.percent() > 10:
            clock.added = next(added)
        return False  # what it says is right

    monkeypatch.setattr("serving.gateway.asked.time", clock)
    with pytest.raises(SystemExit, match=r"^4$"):
        run(is_bad=slow_down)
    report = CutoverReport.read(str(run.file))
    assert (report.status, run.mode()["mode"]) == (BACK, "failover")
    assert [event.percent for event in report.events] == [10, 50, 0]
    assert re.search(
        r"95 % of the model's answers within \d\d,\d{3},\d{3} ms, .* more than 1000 times",
        report.events[-1].text,
    )
    assert run.failed == 0


def test_a_damaged_walk_is_no_reason_not_to_go_back(preset_of, monkeypatch):
    preset = preset_of()
    file = preset.output_dir / "cutover.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"task": ')
    asked = []
    monkeypatch.setattr(
        commands.RunningGateway, "post", lambda gateway, name, values: asked.append(values) or {}
    )

    def command(**values):
        usual = {"preset": "p", "overrides": [], "to": 100.0, "steps": "1,5", "port": 9}
        commands.cutover(argparse.Namespace(**usual, **values), loading(preset))

    with pytest.raises(UserError, match=r"cannot be read\. Go back \(understudy cutover --back\)"):
        command(back=False, every=1.0)
    command(back=True, every=1.0)
    assert [(each["mode"], each["canary_percent"]) for each in asked] == [("failover", 0)]
    assert CutoverReport.read(str(file)).status == BACK
    with pytest.raises(UserError, match="--every -1 must be above 0"):
        command(back=False, every=-1.0)


def test_without_capture_it_does_not_begin_and_still_goes_back(preset_of, monkeypatch):
    preset = preset_of()
    off = preset.settings.model_copy(
        update={"capture": preset.settings.capture.model_copy(update={"enabled": False})}
    )
    asked = []
    monkeypatch.setattr(
        commands.RunningGateway, "post", lambda gateway, name, values: asked.append(values) or {}
    )

    def command(back):
        commands.cutover(
            argparse.Namespace(
                preset="p", overrides=[], to=100.0, steps="1,5", back=back, every=1.0, port=9
            ),
            loading(preset.model_copy(update={"settings": off})),
        )

    with pytest.raises(UserError, match=r"captures none: set serving\.capture\.enabled=true"):
        command(back=False)
    assert (asked, (preset.output_dir / "cutover.json").exists()) == ([], False)
    command(back=True)
    assert [each["mode"] for each in asked] == ["failover"]


def test_a_gateway_without_capture_refuses_a_walk_and_no_canary_of_a_person(servers):
    servers.start(servers.settings())
    gateway = RunningGateway(int(servers.url.rpartition(":")[2]))
    values = {"mode": "canary", "canary_percent": 5}
    with pytest.raises(RefusedError, match=r"is not capturing: .*serving\.capture\.enabled=true"):
        gateway.post("mode", {**values, "set_by": "cutover"})
    assert gateway.status()["mode"]["mode"] == "failover"
    assert gateway.post("mode", values)["mode"] == "canary"


def test_without_a_gateway_it_says_so(preset_of):
    preset = preset_of()

    arguments = argparse.Namespace(
        preset="p", overrides=[], to=100.0, steps="1,5", back=False, every=1.0, port=9
    )
    with pytest.raises(UserError, match="No gateway answers on port 9"):
        commands.cutover(arguments, loading(preset))
