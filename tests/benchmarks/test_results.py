"""The results file keeps the sections of benchmarks that are not run again."""

import importlib
import platform

import pytest

from benchmarks import __main__ as runner
from benchmarks import circumstances


def test_a_section_is_replaced_and_the_others_stay(tmp_path, monkeypatch):
    results = tmp_path / "RESULTS.md"
    monkeypatch.setattr(runner, "RESULTS", results)
    monkeypatch.setattr(runner, "run", lambda name: f"## {name}\n\nfirst\n")
    monkeypatch.setattr("sys.argv", ["benchmarks", "quota", "dedup"])
    runner.main()
    monkeypatch.setattr(runner, "run", lambda name: f"## {name}\n\nsecond\n")
    monkeypatch.setattr("sys.argv", ["benchmarks", "dedup"])
    runner.main()
    found = runner.sections(results.read_text(encoding="utf-8"))
    assert found == {"dedup": "## dedup\n\nsecond\n", "quota": "## quota\n\nfirst\n"}


def test_a_group_runs_its_benchmarks(tmp_path, monkeypatch):
    results = tmp_path / "RESULTS.md"
    monkeypatch.setattr(runner, "RESULTS", results)
    monkeypatch.setattr(runner, "run", lambda name: f"## {name}\n\nfirst\n")
    monkeypatch.setattr("sys.argv", ["benchmarks", "limits"])
    runner.main()
    found = runner.sections(results.read_text(encoding="utf-8"))
    assert sorted(found) == sorted(runner.GROUPS["limits"])


def test_a_misspelled_name_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "qouta"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "there is no benchmark 'qouta'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: A CPU: fast\n\nmodel name\t: B\n",
            "A CPU: fast (family 26)",
        ),
        ("processor\t: 0\nmodel name\t: ARM\n", "ARM"),
        ("", platform.processor()),
    ],
)
def test_the_processor_is_named_with_its_generation(monkeypatch, cpuinfo, expected):
    monkeypatch.setattr("pathlib.Path.read_text", lambda path, encoding: cpuinfo)
    assert circumstances._cpu_model() == expected


@pytest.mark.parametrize("name", runner.BENCHMARKS)
def test_every_benchmark_is_a_module_that_does_nothing_when_imported(name, capsys):
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.main)
    assert capsys.readouterr().out == ""
