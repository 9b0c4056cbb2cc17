"""The measurement of several rows in a request, against judges that are known."""

from benchmarks.judge_rows import characters, measure
from core.usage import Usage
from judging.requests import JudgedResponse
from judging.schemas import Verdicts
from service_llm.types import Result
from task.task import Task

TASK = Task(name="t", instruction="Say it back.")
RESPONSES = [JudgedResponse(str(n), str(n), str(n)) for n in range(8)]


class Judge:
    """Calls everything right, save for what stands last where it tires."""

    def __init__(self, tires):
        self._tires = tires

    def map(self, requests):
        for request in requests:
            good = {"reason": "r", "similarity": 5, "correctness_a": 5, "correctness_b": 5}
            value = good
            if request.schema is Verdicts:
                count = request.prompt.count("<prompt_")
                rows = [{"number": n, **good} for n in range(1, count + 1)]
                if self._tires:
                    rows[-1] |= {"similarity": 1}
                value = {"verdicts": rows}
            value = request.schema.model_validate(value)
            yield Result(request, value, None, "", Usage(1, 1, 1, None), from_journal=False)


def test_a_judge_that_reads_each_row_alone_changes_nothing():
    assert [c.changed for c in measure(RESPONSES, Judge(False), TASK, b"", 4)] == [0, 0]


def test_a_judge_that_tires_is_found_out():
    alone, order = measure(RESPONSES, Judge(True), TASK, b"", 4)
    assert (alone.changed, alone.compared) == (2, 8), "the last row of each request"
    assert order.changed == 4


def test_rows_together_take_fewer_characters():
    assert characters(RESPONSES, TASK, 4) < 0.5 * characters(RESPONSES, TASK, 1)
