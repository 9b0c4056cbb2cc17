import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PACKAGE = REPOSITORY / "components" / "llm_evaluator"
TFX_FILES = {"component", "executor"}
HEAVY = ("tensorflow", "tfx", "apache_beam", "keras")

_PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module("components.llm_evaluator." + name)
from components.llm_evaluator.evaluate import evaluate
from components.llm_evaluator.requests import RequestBuilder
from components.llm_evaluator.settings import EvaluatorSettings
from components.records import ResponseRow
from components.service_llm.types import Result, Usage
from components.task import Task

class Service:
    def map(self, requests):
        for request in requests:
            value = request.schema(reason="r", similarity=5, precision_a=5, precision_b=5)
            yield Result(request, value, None, "", Usage(1, 1, 1, None), False)

row = ResponseRow("1", "p", "o", "holdout", (), "r", "stop")
builder = RequestBuilder(Task(name="t", instruction="i"), EvaluatorSettings(baselines=()), b"s")
found = evaluate({"tuned": [row]}, Service(), builder, judge_section={})
assert found.decision.passed
print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def loaded_modules():
    plain = sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem not in TFX_FILES)
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
    assert "components.llm_evaluator.evaluate" in loaded_modules
    assert heavy not in loaded_modules
