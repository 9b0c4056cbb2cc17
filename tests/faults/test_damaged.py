"""What was damaged or lost after a run is told, or made anew, and never paid for again."""

import json
import re
import shutil
import sqlite3

import pytest

from tests.faults.results import journal_of, result_of, summary_of

pytestmark = pytest.mark.slow

MODEL = "output/tfx/Trainer/model/*/Format-Serving"
WITHOUT_PRIVILEGES = {"without_privileges": []}
DAY = 86_400
# Of ML Metadata's tables, in milliseconds; those of artifacts are part of TFX's cache key.
TIMES = (
    ("Execution", "create_time_since_epoch"),
    ("Execution", "last_update_time_since_epoch"),
    ("Event", "milliseconds_since_epoch"),
)


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def only(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def all_cached(folder):
    return all(node.cached for node in summary_of(folder).rounds[0].components)


@pytest.mark.parametrize("damage", [lambda data: b"?" * 200 + data[200:], lambda data: data[:9000]])
def test_damaged_metadata_are_told(finished, run, damage):
    database = finished / "output" / "metadata.db"
    database.write_bytes(damage(database.read_bytes()))
    ended = run(finished)
    assert ended.status == 2, ended.output
    assert re.search(r"'output/metadata\.db', are damaged .* remove it and run", ended.output)


def test_without_metadata_and_a_line_of_the_journal_one_reply_is_paid_for(
    finished, unbroken, run, service
):
    (finished / "output" / "metadata.db").unlink()
    segment = max((finished / "output" / "journal").glob("*.jsonl"), key=lambda p: p.stat().st_size)
    flipped = segment.read_bytes().replace(b'{"key": "', b'{"key": "\xff', 1)
    segment.write_bytes(flipped)
    before = service.asked()
    ended = run(finished)
    assert ended.status == 0, ended.output
    assert "They are in output/tfx.1 now" in ended.output
    assert (finished / "output" / "tfx.1" / "Trainer").is_dir()
    assert (service.asked() - before).total() == 1
    assert result_of(finished) == result_of(unbroken)
    assert "1 lines of" in (finished / "output" / "run.log").read_text(encoding="utf-8")


def test_a_damaged_model_is_told_and_trained_anew(finished, unbroken, run, service):
    flip_a_bit(only(finished, f"{MODEL}/preset/model.weights.h5"))
    shutil.rmtree(finished / "output" / "tfx" / "ResponseGen")
    before = service.asked()
    ended = run(finished)
    assert ended.status == 2, ended.output
    found = re.search(
        r"'preset/model\.weights\.h5' .* damaged.* the folder (\S+) and", ended.output
    )
    assert found, ended.output
    shutil.rmtree(finished / found.group(1))
    ended = run(finished)
    assert ended.status == 0, ended.output
    assert service.asked() == before
    assert result_of(finished) == result_of(unbroken)


def test_a_damaged_model_is_not_pushed(finished, run):
    file = only(finished, "output/tfx/Exporter/exports/*/transformers/model.safetensors")
    sound = file.read_bytes()
    flip_a_bit(file)
    ended = run(finished, "push.push_space=false")
    assert ended.status == 2, ended.output
    assert re.search(r"'transformers/model\.safetensors' .*Nothing was pushed", ended.output)
    file.write_bytes(sound)
    ended = run(finished, "push.push_space=false")
    assert ended.status == 0, ended.output


@pytest.mark.parametrize(
    "name",
    [
        "output",
        "output/tfx",
        "output/tfx/Trainer",
        "output/tfx/Trainer/model",
        "output/tfx/LLMEvaluator/.system",
        "output/tfx/LLMEvaluator/.system/executor_execution",
        "output/metadata.db",
        "output/journal",
        "output/checkpoints",
        "output/run.log",
    ],
)
def test_what_is_read_only_is_named(finished, run, name):
    path = finished / name
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222)
    ended = run(finished, faults=WITHOUT_PRIVILEGES)
    path.chmod(mode)
    assert ended.status == 2, ended.output
    assert re.search(rf"cannot be written: Permission denied \({name}\S*\)", ended.output)
    ended = run(finished, faults=WITHOUT_PRIVILEGES)
    assert (ended.status, all_cached(finished)) == (0, True), ended.output


@pytest.mark.parametrize("days", [-4000, 3], ids=["set forward", "set back"])
def test_the_clock_was_set_since_the_last_run(finished, unbroken, run, service, days):
    """All times of the run before are shifted, as if the clock had been set after it."""
    with sqlite3.connect(finished / "output" / "metadata.db") as database:
        for table, column in TIMES:
            database.execute(f"UPDATE {table} SET {column} = {column} + ?", [days * DAY * 1000])
    for segment in (finished / "output" / "journal").glob("*.jsonl"):
        stamp, _, rest = segment.name.partition("-")
        lines = segment.read_text(encoding="utf-8").split("\n")
        entries = [json.loads(line) for line in lines if line]
        shifted = [entry | {"at": entry["at"] + days * DAY} for entry in entries]
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in shifted)
        segment.write_text(text, encoding="utf-8")
        segment.rename(segment.with_name(f"{int(stamp) + days * DAY * 10**9:020}-{rest}"))
    before = service.asked()
    ended = run(finished)
    assert (ended.status, all_cached(finished)) == (0, True), ended.output
    assert service.asked() == before
    assert result_of(finished) == result_of(unbroken)
    assert all(n.seconds >= 0 for n in summary_of(finished).rounds[0].components)
    shutil.rmtree(finished / "output" / "tfx" / "LLMEvaluator")
    ended = run(finished)
    assert ended.status == 0, ended.output
    assert service.asked() == before, "every reply was found"
    assert result_of(finished) == result_of(unbroken)
    assert journal_of(finished)
