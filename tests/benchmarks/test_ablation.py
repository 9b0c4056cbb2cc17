"""The ablation goes on where it was, pairs what belongs together, and measures every variant."""

import json
import math

import pytest

from benchmarks import ablation, ablation_child
from benchmarks.ablation import Gain, Kept, gain, is_worth_it, schedule, table, variants
from benchmarks.ablation_child import ALL_OFF, ALL_ON, AS_IT_COMES, switches, write_job
from core.optimizations import GenerationOptimizations, TrainingOptimizations


def test_every_switch_is_off_alone_and_all_are():
    names = list(TrainingOptimizations.model_fields)
    assert variants("training") == [ALL_ON, *names, ALL_OFF, AS_IT_COMES]
    assert "cached_decoding" in variants("generation")
    assert switches(TrainingOptimizations, ALL_ON) == TrainingOptimizations()
    off = switches(TrainingOptimizations, "fused_adam").model_dump()
    assert [name for name, on in off.items() if not on] == ["fused_adam"]
    assert not any(switches(GenerationOptimizations, ALL_OFF).model_dump().values())


def test_each_block_measures_each_variant_once_in_an_order_of_its_own():
    blocks = [
        [m["variant"] for m in schedule("training", "float32", 7) if m["block"] == block]
        for block in range(7)
    ]
    assert all(sorted(block) == sorted(variants("training")) for block in blocks)
    assert len(set(map(tuple, blocks))) == 7


def test_a_gain_is_the_mean_of_the_ratios_with_students_interval():
    pairs = [(1.1 * speed, speed) for speed in (1, 2, 3, 4, 5, 6, 7)]
    assert gain(pairs) == pytest.approx(Gain(10.0, 10.0, 10.0))
    spread = [(1.0, 1.0), (1.21, 1.0)] * 3 + [(1.1, 1.0)]
    found = gain(spread)
    deviation = math.log(1.1)  # of six logarithms that are off the mean by it, and one that is not
    half = 2.447 * deviation / math.sqrt(7)
    assert found.percent == pytest.approx(10.0)
    assert found.high == pytest.approx(100 * (1.1 * math.exp(half) - 1))
    assert found.low < 10 < found.high


@pytest.mark.parametrize(
    ("time", "start", "memory", "worth"),
    [(2.9, 2.9, 4.9, False), (3.0, 0, 0, True), (0, 3.0, 0, True), (0, 0, 5.0, True)],
)
def test_a_switch_is_worth_it_by_the_upper_end_of_an_interval(time, start, memory, worth):
    assert is_worth_it(*(Gain(0, -9, high) for high in (time, start, memory))) is worth


def figures(variant, block):
    speed = 1 + block / 10  # the machine is not always the same
    slower = {"cached_decoding": 1.5, "packed_output_table": 1.001}.get(variant, 1.0)
    return {"seconds": 2.0 * speed * slower, "with_start": 9.0 * speed, "memory_gib": 1.0}


def test_the_benchmark_goes_on_where_it_was_and_begins_anew_with_other_code(tmp_path, monkeypatch):
    file, made = tmp_path / "kept.jsonl", []

    def ours(module, work, variant, dtype, job):
        if len(made) == 20:
            raise SystemExit("interrupted")
        made.append((work, variant, dtype))
        return figures(variant, len(made) % 3)

    monkeypatch.setattr(ablation.processes, "ours", ours)
    wanted = list(schedule("generation", "float32", 7))

    def measure(kept, end=math.inf):
        ablation._measure(kept, wanted, tmp_path, end)

    def found(code, boot):
        kept = Kept(file, code, boot)
        return sum(kept.get(each) is not None for each in wanted)

    with pytest.raises(SystemExit):
        measure(Kept(file, "code", "first"))
    with file.open("a") as half:
        half.write('{"identity": "co')  # the machine stopped within a line
    block = len(variants("generation"))
    assert block == 8
    assert found("code", "first") == 20
    assert found("code", "second") == 16, "a block is of one start of the machine"
    assert found("other code", "first") == 0
    made.clear()
    monkeypatch.setattr(ablation.processes, "ours", lambda *a: made.append(a) or figures("", 1))
    measure(Kept(file, "code", "second"), end=0)
    assert made == [], "its time is over"
    measure(Kept(file, "code", "second"))
    assert len(made) == len(wanted) - 16
    assert found("code", "third") == len(wanted)


def test_the_table_pairs_a_variant_with_the_unchanged_program_of_its_block(tmp_path):
    kept = Kept(tmp_path / "kept.jsonl", "code", "first")
    for measured in schedule("generation", "bfloat16", 7):
        assert len(list(table(kept, "generation", "bfloat16", 7))) == 1 or measured["block"] > 1
        kept.add(measured, figures(measured["variant"], measured["block"]))
    first = schedule("generation", "bfloat16", 2)
    early = Kept(tmp_path / "early.jsonl", "code", "first")
    for measured in first:
        early.add(measured, figures(measured["variant"], measured["block"]))
    top, *others = table(early, "generation", "bfloat16", 7)
    assert top.endswith("| 2 of 7 blocks |")
    assert all(line.endswith("|  |") for line in others), "no switch is judged before the end"
    lines = list(table(kept, "generation", "bfloat16", 7))
    assert lines[0] == "| bfloat16 | all on | 2.60 s | 11.7 s | 1.00 GiB |  |"
    [cached] = [line for line in lines if "cached_decoding" in line]
    assert "| +50.0 % (+50.0 to +50.0) |" in cached
    assert cached.endswith("| yes |")
    [packed] = [line for line in lines if "packed_output_table" in line]
    assert packed.endswith("| **no** |")
    assert lines[-1].startswith(f"| bfloat16 | {AS_IT_COMES} |")
    assert lines[-1].endswith("|  |"), "not a switch"


@pytest.mark.slow
@pytest.mark.soak
def test_a_tiny_model_is_trained_and_answers_in_each_way(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ablation_child.shared, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ablation_child, "_BATCHES", 3)
    monkeypatch.setattr(ablation_child, "_PROMPTS", 4)
    monkeypatch.setattr(ablation_child, "_PROMPTS_AT_ONCE", 2)
    job = tmp_path / "job.json"
    write_job(job, "random:gemma3-tiny")
    monkeypatch.setattr("tensorflow.config.threading.set_intra_op_parallelism_threads", int)
    for work in ablation.WORKS:
        for variant in (ALL_ON, ALL_OFF, AS_IT_COMES):
            arguments = ["ablation_child", work, variant, "float32", str(job)]
            monkeypatch.setattr("sys.argv", arguments)
            ablation_child.main()
            found = json.loads(capsys.readouterr().out.splitlines()[-1])
            assert 0 < found["seconds"] < found["with_start"], (work, variant)
            assert found["memory_gib"] > 0
