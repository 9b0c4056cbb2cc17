"""The mutation tests: which tests are near, what is kept, and that a planted fault is noticed."""

import math

import pytest

from benchmarks.mutants import table
from tools.mutants import __main__ as runner
from tools.mutants import plan
from tools.mutants.nearest_tests import Tests
from tools.mutants.plan import ROOT, Mutant, Result


@pytest.fixture
def repository(tmp_path):
    """A small repository with three modules and their tests."""
    files = {
        "room/__init__.py": "",
        "room/base.py": "def double(value):\n    return 2 * value\n",
        "room/user.py": "from room.base import double\n\n\ndef four():\n    return double(2)\n",
        "room/alone.py": "VALUE = 1\n",
        "tests/room/test_base.py": "from room.base import double\n\n\n"
        "def test_double():\n    assert double(3) == 6\n",
        "tests/room/test_user.py": "from room.user import four\n\n\n"
        "def test_four():\n    assert four() == 4\n",
        "tests/other/test_all.py": "from room import base\n\n\ndef test_all():\n    pass\n",
        "tests/room/test_slow.py": "import room.base\npytestmark = pytest.mark.slow\n",
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.']\n"
        "markers = ['slow', 'soak']\naddopts = '--import-mode=importlib'\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_nearest_tests_are_those_of_the_module_then_of_its_users(repository):
    tests = Tests(repository)
    assert tests.nearest("room/base.py") == [
        "tests/room/test_base.py",
        "tests/other/test_all.py",
        "tests/room/test_user.py",
    ]
    assert tests.nearest("room/user.py")[0] == "tests/room/test_user.py"
    mirrored = {"tests/room/test_base.py", "tests/room/test_user.py"}
    assert set(tests.nearest("room/alone.py")) == mirrored
    assert tests.nearest("other_room/alone.py") == []


def test_no_module_of_the_parts_is_without_a_test():
    tests = Tests(ROOT)
    without = [
        path
        for path in plan.modules()
        if not path.endswith("__init__.py") and not tests.nearest(path)
    ]
    assert without == []


@pytest.fixture
def runs(repository, tmp_path_factory, monkeypatch):
    """A runner on the small repository, whose server needs nothing loaded."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in ("PLAN", "RESULTS", "BASELINES"):
        monkeypatch.setattr(plan, name, folder / name.lower())
    monkeypatch.setattr(plan, "FOLDER", folder)
    monkeypatch.setattr(runner, "_copy_repository", lambda tree: None)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(runner, "PARTS", ("room",))
    made = runner.Runner(repository)
    yield made
    made.close()


def mutant(number, path, before, after, repository):
    source = (repository / path).read_text()
    assert before in source
    faulty = source.replace(before, after)
    return Mutant(number, path, 2, before, after, faulty, plan.digest(source))


def test_a_fault_is_found_or_survives_and_is_taken_out_again(runs, repository):
    whole = (repository / "room" / "base.py").read_text()
    found = [
        runs.try_mutant(mutant(number, path, before, after, repository)).outcome
        for number, (path, before, after) in enumerate(
            [
                ("room/base.py", "2 * value", "3 * value"),
                ("room/base.py", "2 * value", "value * 2"),
                ("room/base.py", "2 * value", "value + value"),
                ("room/alone.py", "1", "2"),  # which no test imports
                ("room/base.py", "def double", "def triple"),
            ]
        )
    ]
    assert found == ["killed", "survived", "survived", "survived", "killed"]
    assert (repository / "room" / "base.py").read_text() == whole


def test_tests_that_do_not_run_the_line_are_not_asked(runs, repository):
    """`test_all` imports the module; only the other two run its function."""
    fault = mutant(0, "room/base.py", "2 * value", "value * 2", repository)
    assert runs.try_mutant(fault).tests == 2
    file = "tests/other/test_all.py"
    kept = plan.read_baseline(file, runs._digest(file))
    assert kept.lines["room/base.py"] == [1], "what runs when it is imported"
    assert plan.read_baseline(file, "another") is None, "the tests or a module have changed"


def test_runners_share_the_faults_that_are_left(repository, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("mutants")
    for name in ("PLAN", "RESULTS"):
        monkeypatch.setattr(plan, name, folder / name.lower())
    monkeypatch.setattr(plan, "FOLDER", folder)
    monkeypatch.setattr(plan, "ROOT", repository)
    made = [
        mutant(0, "room/base.py", "2 * value", "3 * value", repository),
        mutant(1, "room/alone.py", "1", "2", repository),
        mutant(2, "room/user.py", "double(2)", "double(3)", repository),
    ]
    plan.write_plan(made)
    plan.add_result(Result(1, "survived", 0, 0.0))
    measured, tried = [], []

    class Runner:
        def __init__(self, tree):
            self.name = tree.name

        def nearest(self, module):
            return [f"tests/{module}", "tests/all"]

        def measure(self, files):
            measured.append((self.name, *files))

        def close(self):
            self.name = "closed"

    monkeypatch.setattr(runner, "Runner", Runner)
    monkeypatch.setattr(
        runner, "try_all", lambda by, part, end: tried.append((by.name, [m.number for m in part]))
    )
    monkeypatch.setattr("sys.argv", ["tools.mutants", "--runners", "2"])
    runner.main()
    assert sorted(measured) == [
        ("tree-0", "tests/all", "tests/room/user.py"),
        ("tree-1", "tests/room/base.py"),
    ]
    assert sorted(tried) == [("tree-0", [0]), ("tree-1", [2])]


def test_a_runner_keeps_what_it_found_until_its_time_is_over(runs, repository):
    made = [
        mutant(number, "room/base.py", "2 * value", after, repository)
        for number, after in enumerate(["3 * value", "value * 2"])
    ]
    runner.try_all(runs, made, math.inf)
    found = {number: result.outcome for number, result in plan.read_results().items()}
    assert found == {0: "killed", 1: "survived"}
    runner.try_all(runs, [mutant(2, "room/alone.py", "1", "2", repository)], -math.inf)
    assert sorted(plan.read_results()) == [0, 1], "its time is over"


@pytest.mark.parametrize(
    ("line", "lines"),
    [(1, [1]), (2, [2, 3]), (3, [2, 3]), (4, [4, 5, 6]), (6, [4, 5, 6]), (7, [7]), (8, [8])],
)
def test_a_statement_has_the_lines_of_its_head_and_not_of_its_body(line, lines):
    source = (
        "VALUE = 1\n"  # 1
        "def double(\n"
        "    value):\n"
        "    if (value\n"  # 4
        "        and\n"
        "        value):\n"
        "        return 2\n"  # 7
        "    return 0\n"
    )
    assert list(plan.statement(source, line)) == lines


def test_results_are_kept_one_by_one_and_a_line_cut_off_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "RESULTS", tmp_path / "results.jsonl")
    results = [Result(0, "killed", 3, 1.5), Result(2, "survived", 1, 0.5)]
    for result in results:
        plan.add_result(result)
    with plan.RESULTS.open("a") as stream:
        stream.write('{"number": 3, "outc')
    assert plan.read_results() == {result.number: result for result in results}
    results += [Result(3, "killed", 1, 0.5), Result(4, "survived", 1, 0.5)]
    for result in results[2:]:
        plan.add_result(result)
    assert plan.read_results() == {result.number: result for result in results}


def test_a_plan_of_modules_that_have_changed_is_refused_and_a_new_one_has_no_results(
    repository, tmp_path, monkeypatch
):
    for name in ("PLAN", "RESULTS", "FOLDER"):
        monkeypatch.setattr(plan, name, tmp_path / "mutants" / name.lower())
    monkeypatch.setattr(plan, "ROOT", repository)
    base = mutant(0, "room/base.py", "2 * value", "3 * value", repository)
    alone = mutant(1, "room/alone.py", "1", "2", repository)
    plan.write_plan([base, alone])
    plan.add_result(Result(0, "killed", 1, 0.5))
    assert plan.changed_modules(plan.read_plan()) == []
    (repository / "room" / "base.py").write_text("def double(value):\n    return value + value\n")
    assert plan.changed_modules(plan.read_plan()) == ["room/base.py"]
    monkeypatch.setattr("sys.argv", ["tools.mutants"])
    with pytest.raises(SystemExit, match=r"Changed since the faults were drawn: room/base\.py\."):
        runner.main()
    (repository / "room" / "alone.py").unlink()
    assert plan.changed_modules(plan.read_plan()) == ["room/alone.py", "room/base.py"]
    plan.write_plan([alone])
    assert plan.read_results() == {}


def test_the_score_counts_what_was_tried_and_tested():
    mutants = [Mutant(n, f"{'core' if n < 6 else 'task'}/a.py", 1, "a", "b", "") for n in range(10)]
    outcomes = ["killed"] * 4 + ["killed by time", "survived", "survived"]
    results = {n: Result(n, outcome, 1, 1.0) for n, outcome in enumerate(outcomes)}
    assert table(mutants, results).split("\n")[2:] == [
        "| core | 6 | 5 | 1 | 83% | 44% to 97% |",
        "| task | 1 | 0 | 0 | 0% | 0% to 79% |",
        "| all | 7 | 5 | 1 | 71% | 36% to 92% |",
    ]
