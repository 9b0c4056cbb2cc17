"""A budget of the loop stops it only where replies have a price."""

import pytest

import local_runner
from core.errors import UserError
from pipeline.budget_check import budget_problems, check_budget
from pipeline.config import load_config

UNPRICED = ["service_llm.provider=openai", "service_llm.model=mine"]
PRICE = "service_llm.price={prompt_usd_per_million_tokens: 1.0, output_usd_per_million_tokens: 1.0}"


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        ([*UNPRICED, "rounds.budget_usd=5"], 1),
        (UNPRICED, 0),
        ([*UNPRICED, "rounds.budget_usd=5", PRICE], 0),
        (["rounds.budget_usd=5"], 0),
        (["rounds.budget_usd=5", "judge={provider: openai, model: other}"], 1),
        (["judge={provider: openai, model: other, budget_usd: 5}"], 1),
        (["service_llm.budget_usd=5", "judge={provider: openai, model: other}"], 0),
    ],
    ids=[
        *("no price", "no budget", "a price of one's own", "a listed price", "a judge"),
        *("a judge's budget", "a judge without one"),
    ],
)
def test_a_service_without_a_price_is_named(overrides, count):
    config = load_config("offline", overrides)
    assert len(budget_problems(config)) == count


def test_what_to_set_is_said():
    config = load_config("offline", ["rounds.budget_usd=5", "judge={provider: openai, model: x}"])
    with pytest.raises(
        UserError,
        match=r"rounds\.budget_usd is 5, but the price of 'x' is unknown\. Set judge\.price",
    ):
        check_budget(config)


@pytest.mark.parametrize("command", ["check", "run"])
def test_it_is_found_before_anything_is_sent(command, tmp_path, capsys):
    settings = [*UNPRICED, "rounds.budget_usd=5", f"output_dir={tmp_path}"]
    words = [part for setting in settings for part in ("--set", setting)]
    status = local_runner.main([command, "--preset", "offline", *words])
    out, err = capsys.readouterr()
    assert status == (2 if command == "run" else 0)
    assert "the price of 'mine' is unknown" in " ".join((out + err).split())
    assert not (tmp_path / "journal").exists()
