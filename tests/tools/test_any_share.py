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
    ],
    ids=["none", "a parameter", "inside, quoted and dotted", "variables", "other names", "a value"],
)
def test_annotations_with_any_are_counted(tmp_path, source, share):
    (tmp_path / "module.py").write_text(source)
    assert any_share(tmp_path) == share


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
