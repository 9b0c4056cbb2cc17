"""What an interrupted command says: to resume it only where it resumes."""

import pytest

import local_runner


def interrupt(**_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("function", "command", "said"),
    [
        ("takeover.drill", "drill", "Interrupted.\n"),
        ("local.estimate", "estimate", "Interrupted.\n"),
        ("local.run", "run", "Interrupted. Run the same command again to resume.\n"),
    ],
)
def test_only_a_command_that_resumes_says_so(monkeypatch, capsys, function, command, said):
    monkeypatch.setattr(f"pipeline.cli.{function}", interrupt)
    assert local_runner.main([command]) == 130
    assert capsys.readouterr().err == said
