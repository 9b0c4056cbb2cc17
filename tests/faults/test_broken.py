"""A round that is broken at every boundary and in every component ends as an unbroken one."""

import collections
import json
import re
import shutil
import signal

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from tests.faults.conftest import CONCURRENCY, workplace
from tests.faults.results import journal_of, result_of, summary_of

JOURNAL = "service_llm.journal.journal:Journal.append"
EXPORT = "tensorflow:io.gfile.copy"
# In the order in which they run: a call in the middle of each component, the how many-th.
MIDDLES = {
    "CoverageExampleGen": ("components.examples_io:serialize", 3),
    "SchemaGen": ("tfx.utils.io_utils:copy_file", 1),
    "SynthDataGen": (JOURNAL, 6),
    "StatisticsGen": ("tensorflow_data_validation:GenerateStatistics", 2),
    "Transform": ("tensorflow_transform.beam:WriteTransformFn", 1),
    "ExampleValidator": ("tensorflow_data_validation:validate_statistics", 2),
    "Trainer": ("models.training.checkpoints:TrainingCheckpoints.save", 2),
    "ResponseGen": ("models.generation.generate:_report", 1),
    "LLMEvaluator": (JOURNAL, 6),
    "Exporter": (EXPORT, 2),
    "HFPusher": ("components.hf_pusher.local_hub:LocalHub.push", 2),
}
ASKING = ("SynthDataGen", "LLMEvaluator")
# Their outputs cost something, or are seen outside: these are also killed when all is written.
COSTLY = (*ASKING, "Trainer", "HFPusher")
FULL = r"error: .*(disk is full|No space left on device).*[Ff]ree some space"
DAYS = 3 * 86_400


def broken_runs():
    """The faults of each run, and what it says at its end; nothing where it is killed."""
    for node, middle in MIDDLES.items():
        yield {"killed_in": [node, *middle]}, None
        yield {"disk_full_in": [node, *middle]}, FULL
        if node == "SynthDataGen":
            for seconds in (DAYS, -DAYS):
                clock = [node, JOURNAL, 2, seconds]
                yield {"clock_set_in": clock, "killed_in": [node, JOURNAL, 4]}, None
        if node == "Trainer":
            yield {"killed_in": [node, EXPORT, 3]}, None
            yield {"disk_full_in": [node, EXPORT, 3]}, FULL
        if node in COSTLY:
            yield {"killed_before_published": [node]}, None
        yield {"killed_after": [node]}, None
    yield {"killed_before": ["pipeline.local.run:write_results"]}, None


@pytest.mark.slow
def test_broken_everywhere_a_run_ends_as_an_unbroken_one(unbroken, run, service, tmp_path):
    folder = workplace(tmp_path / "run")
    # The same salt makes the same requests.
    (folder / "output" / "journal").mkdir(parents=True)
    shutil.copy(unbroken / "output" / "journal" / "salt", folder / "output" / "journal")
    before = service.asked()
    for faults, said in broken_runs():
        ended = run(folder, faults=faults)
        story = f"{faults}: exit status {ended.status}\n{ended.output}"
        assert ended.status == (2 if said else -signal.SIGKILL), story
        assert re.search(said or "", ended.output, re.DOTALL), story
    ended = run(folder)
    assert ended.status == 0, ended.output
    assert result_of(folder) == result_of(unbroken)
    assert all(node.cached for node in summary_of(folder).rounds[0].components)
    _check_nothing_was_paid_for_twice(folder, service.asked() - before, unbroken)
    _check_nothing_finished_was_done_again(folder)


def _check_nothing_was_paid_for_twice(folder, asked, unbroken):
    expected = json.loads((unbroken / "requests.json").read_text(encoding="utf-8"))
    assert set(expected.values()) == {1}
    assert set(asked) == set(expected)
    kept = collections.Counter(entry["key"] for entry in journal_of(folder))
    assert len(kept) == len(expected)
    assert set(kept.values()) == {1}, "what was in the journal was not asked for again"
    breaks = sum(any(node in str(faults) for node in ASKING) for faults, _ in broken_runs())
    assert asked.total() - len(asked) <= breaks * CONCURRENCY, "only what was under way"


def _check_nothing_finished_was_done_again(folder):
    database = str(folder / "output" / "metadata.db")
    store = mlmd.MetadataStore(sqlite_metadata_connection_config(database))
    states = collections.Counter(e.last_known_state for e in store.get_executions())
    assert states[metadata_store_pb2.Execution.COMPLETE] == len(MIDDLES)
