"""The share of `Any` in annotations is counted, and every room has a limit."""

import tomllib

import pytest

from tools.any_share import ROOT, any_share, main


@pytest.mark.parametrize(
    ("source", "share"),
    [
        ("def f(a: int, *, b: str) -> None: ...", 0),
        ("def f(a: Any) -> None: ...", 50),
        ("def f(a: 'dict[str, Any]', *b: typing.Any, **c: int) -> int: ...", 50),
        ("x: list[Any] = []\ny: int = 1", 50),
        ("async def f(a: Anything) -> Literal['Any thing']: ...", 0),
        ("x = Any", 0),
        ("Spec = Mapping[str, Any]\ndef f(a: Spec, b: 'list[Spec]') -> int: ...", 200 / 3),
        ("Spec = Mapping[str, Any]\nSpecs = list[Spec]\nx: Specs = []", 100),
        ("Spec = Mapping[str, int]\nvalue = Any.make()\nx: Spec = {}", 0),
    ],
    ids=[
        "none",
        "a parameter",
        "inside, quoted and dotted",
        "variables",
        "other names",
        "a value",
        "an alias",
        "an alias of an alias",
        "another alias",
    ],
)
def test_annotations_with_any_are_counted(tmp_path, source, share):
    (tmp_path / "module.py").write_text(source)
    assert any_share(tmp_path) == pytest.approx(share)


@pytest.mark.parametrize(
    ("source", "share"),
    [
        ("from room.first import Spec\nx: Spec = {}", 100),
        ("from room.first import Spec as Drawing\nx: Drawing = {}", 100),
        ("from room import first\nx: first.Spec = {}", 100),
        ("from room import first\nx: first.Other = {}", 0),
        ("from elsewhere import Spec\nx: Spec = {}", 0),
    ],
    ids=["by name", "by another name", "of a module", "another of it", "of another module"],
)
def test_an_alias_of_another_module_is_seen(tmp_path, monkeypatch, source, share):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "first.py").write_text("Spec = dict[str, Any]\nOther = dict[str, int]")
    (tmp_path / "room" / "second.py").write_text(source)
    monkeypatch.setattr("tools.any_share.ROOT", tmp_path)
    assert any_share(tmp_path / "room") == share


def test_every_room_has_a_limit_and_keeps_it(capsys):
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["understudy"]["any"]
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(limits) == rooms - {"benchmarks", "notebooks", "tests", "tools"}
    assert main() == 0, capsys.readouterr().out


def test_a_room_above_its_limit_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "module.py").write_text("x: Any = 1")
    (tmp_path / "pyproject.toml").write_text("[tool.understudy.any]\nroom = 5\n")
    monkeypatch.setattr("tools.any_share.ROOT", tmp_path)
    assert main() == 1
    assert "room: 100.0 %" in capsys.readouterr().out
