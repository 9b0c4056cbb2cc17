"""A walk over a gateway and a judge that a test controls."""

import datetime
import json

from judging.pairs import PairScore
from serving.cutover.kept_walk import new_report
from serving.cutover.walk import CutoverWalk
from serving.running import RefusedError
from tests.serving.cutover.conftest import START, exchange

GOOD = PairScore(1.0, 1.0, True, True, "equal")
BAD = PairScore(1.0, 0.0, False, True, "differs")


class Gateway:
    """Keeps what it was told."""

    def __init__(self):
        self.mode = {"mode": "shadow", "canary_percent": 0.0, "set_by": "serve mode"}
        self.warning = ""
        self.dies = False
        self.alarms = []

    def status(self):
        return {"mode": self.mode, "alarms": self.alarms}

    def post(self, name, values):
        assert name == "mode"
        expected = values.get("expected")
        if expected and any(self.mode[key] != value for key, value in expected.items()):
            raise RefusedError(f"The mode is {self.mode['mode']}.")
        if values.get("keeps_private") and self.mode["mode"] == "private":
            return {**self.mode, "warning": ""}
        self.mode = {name: values[name] for name in ("mode", "canary_percent", "set_by")}
        if self.dies:
            raise KeyboardInterrupt  # the walk is killed once the gateway has changed its mode
        return {**self.mode, "warning": self.warning}


class Scorer:
    """Counts what it scores; answers that say `wrong` are."""

    def __init__(self):
        self.scored = 0

    def score(self, pairs):
        self.scored += len(pairs)
        return [BAD if pair.response == "wrong" else GOOD for pair in pairs]


class Walk:
    """A walk over traffic that is written line by line, on a clock of its own."""

    def __init__(self, preset, report=None):
        self.seconds = 0
        self.said = []
        self.gateway, self.scorer = Gateway(), Scorer()
        self.preset = preset
        self.folder = preset.output_dir / "serving" / "capture"
        self.file = preset.output_dir / "cutover.json"
        self.resume(report or new_report("triage", [1, 5, 25, 100], self.now()))

    def now(self):
        return START + datetime.timedelta(seconds=self.seconds)

    def resume(self, report):
        self.walk = CutoverWalk(
            self.preset, report, self.file, gateway=self.gateway, scorer=self.scorer,
            say=self.said.append, now=self.now,
        )  # fmt: skip
        self.walk.begin()

    def traffic(self, count, wrong=0, canary=None, milliseconds=90.0, **service):
        """Exchanges, every second one of the service.

        Args:
            count: How many requests.
            wrong: How many of the model's answers are wrong.
            canary: What differs in a line of the model's half.
            milliseconds: Of the model's answers.
            service: What differs in a line of the service's half.
        """
        lines = []
        for n in range(count):
            self.seconds += 1
            text = "wrong" if n < wrong else "m"
            values = json.loads(exchange(self.seconds, prompt="p", service="s", model=text))
            if n % 2:
                values |= {"served_by": "model", "reason": "canary", "service": None}
                values["model"]["milliseconds"] = milliseconds
                values |= canary or {}
            else:
                values |= service
            lines.append(json.dumps(values))
        with (self.folder / "more.jsonl").open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
        self.seconds += 1


def walk_over(preset, report, gateway):
    return CutoverWalk(
        preset, report, preset.output_dir / "cutover.json", gateway=gateway, scorer=Scorer(),
        say=lambda text: None, now=lambda: START,
    )  # fmt: skip
