import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "judging"
HEAVY = ("tensorflow", "tfx", "apache_beam", "keras")

_PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module("judging." + name)
from judging.evaluate import evaluate
from judging.requests import RequestBuilder
from judging.settings import EvaluatorSettings
from core.records import ResponseRow
from judging.report import describe_judge
from core.usage import Usage
from service_llm.types import Result
from task.task import Task

class Service:
    def map(self, requests):
        for request in requests:
            value = request.schema(reason="r", similarity=5, correctness_a=5, correctness_b=5)
            yield Result(request, value, None, "", Usage(1, 1, 1, None), False)

row = ResponseRow("1", "p", "o", "holdout", (), "r", "stop")
JUDGE = describe_judge("gemini", "judge-1", EvaluatorSettings())
builder = RequestBuilder(Task(name="t", instruction="i"), EvaluatorSettings(baselines=()), b"s")
found = evaluate({"tuned": [row]}, Service(), builder, described=JUDGE)
assert found.findings.gate.passed
print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def loaded_modules():
    plain = sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__")
    output = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *plain],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return output.stdout.split()


@pytest.mark.parametrize("heavy", HEAVY)
def test_judging_loads_no_heavy_library(loaded_modules, heavy):
    assert "judging.evaluate" in loaded_modules
    assert heavy not in loaded_modules
