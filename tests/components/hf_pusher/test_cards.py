"""The cards of the three repositories, as the hub's own classes read them."""

import ast
import dataclasses
import html
import json
import re

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from components.hf_pusher.contents import dataset_content, model_content
from components.hf_pusher.settings import PushSettings
from core.records import CoverageRow
from core.reports.failures import FailureCluster
from core.reports.last_look import LastLook
from core.reports.rates import RelativeRate
from core.reports.strict import JudgeDifference, StrictPart, StrictReport
from judging.last_look import make_last_look
from judging.settings import EvaluatorSettings
from tests.components.hf_pusher.cards import NAMES, card_of, without_base
from tests.components.hf_pusher.conftest import VERDICT
from tests.evaluation import verdict
from tests.records import rate


def test_the_metadata_is_what_the_hub_indexes(source):
    data = card_of(source).data
    assert data.base_model == "google/gemma-3-270m"
    assert data.base_model_relation == "finetune"
    assert data.license == "gemma"
    assert data.license_link == "https://ai.google.dev/gemma/terms"
    assert data.datasets == ["me/support-triage"]
    assert data.language == ["en"]
    assert data.library_name == "keras-hub"
    assert data.pipeline_tag == "text-generation"
    assert data.tags == ["understudy", "gemma", "lora", "transformers"]


def test_the_model_index_holds_the_rates_and_their_intervals(source):
    card = card_of(source)
    assert card.data.model_name == "support-triage"
    holdout, seed = card.data.eval_results
    assert (holdout.dataset_split, seed.dataset_split) == ("holdout", "seed")
    assert holdout.metric_type == "coverage_rate"
    assert holdout.metric_value == 75.0
    assert holdout.metric_args == {
        "covered": 3,
        "total": 4,
        "unscored": 0,
        "confidence": 0.95,
        "low_percent": 30.1,
        "high_percent": 95.4,
        "judge": "stand-in-1 (gemini)",
    }
    [entry] = card.data.to_dict()["model-index"]
    assert len(entry["results"]) == 2


def test_where_a_test_split_was_judged_the_card_starts_with_it(source):
    look = LastLook(
        holdout_looks=3,
        models={"tuned": rate(142, 200, 64.3, 76.8)},
        threshold_percent=67.4,
        reached=True,
    )
    report = source.report.model_copy(update={"last_look": look})
    card = card_of(dataclasses.replace(source, report=report))
    assert "**71.0 % of 200 test prompts** (142 covered, 95 % interval 64.3 to 76.8 %)" in card.text
    assert "looked at the holdout below 3 times, so part of its rate may be luck" in card.text
    first = card.data.eval_results[0]
    assert (first.dataset_split, first.metric_value) == ("test", 71.0)
    assert "test prompts" not in card_of(source).text


def test_the_share_of_the_services_rate_has_its_interval(source):
    models = {"tuned": rate(142, 200, 64.3, 76.8), "service": rate(180, 200, 85.1, 93.4)}
    for low, high, shown in (
        (71.2, 86.5, "78.9 % of the service LLM's own rate there (95 % interval 71.2 to 86.5 %)"),
        (None, None, "78.9 % of the service LLM's own rate there."),
    ):
        look = LastLook(
            holdout_looks=1,
            models=models,
            threshold_percent=67.4,
            reached=True,
            relative=RelativeRate(prompts=200, percent=78.9, low_percent=low, high_percent=high),
        )
        report = source.report.model_copy(update={"last_look": look})
        assert shown in card_of(dataclasses.replace(source, report=report)).text


def test_the_card_has_the_fields_of_the_test_split(source):
    pair = '{"kind": "a", "total|tax": 3}', '{"kind": "b", "total|tax": 3}'
    rows = [
        verdict(CoverageRow(str(n), "p", pair[0], "test"), "tuned", True, response=pair[n % 2])
        for n in range(4)
    ]
    look = make_last_look({"tuned": rows}, EvaluatorSettings(), looks=1, kind="json")
    report = source.report.model_copy(update={"last_look": look})
    text = card_of(dataclasses.replace(source, report=report)).text
    assert "\n| field | equal to the reference |\n|---|---|\n| kind | 50.0 % (2 of 4;" in text
    assert "\n| total\\|tax | 100.0 % (4 of 4;" in text
    assert "On the test prompts the judge's rate is +50.0 points" in text
    strict = look.strict["tuned"].rate
    interval = f"{strict.low_percent:.1f} to {strict.high_percent:.1f} %"
    assert f"strictly equal to the reference: 50.0 % (95 % interval {interval})." in text


def test_the_card_tells_figures_making_limits_and_use(source):
    text = card_of(source).text
    holdout = "75.0 % (3 of 4; 30.1 to 95.4) | 0.0 % (0 of 4; 0.0 to 49.0)"
    assert f"| holdout | {holdout} |\n" in text
    assert "**75.0 %** (95 % interval 30.1 to 95.4 %), threshold 70.0 %" in text
    tagged = "50.0 % (1 of 2; 9.5 to 90.5) | 0.0 % (0 of 2; 0.0 to 65.8)"
    assert f"| tag `typos` | {tagged} |\n" in text
    assert "Judged by a stand-in" in text
    assert "trained on 3 of them with LoRA" in text
    assert "- steps: 40\n" in text
    assert "losses" not in text, "lists of the training record do not belong in the card"
    assert 'from_preset("hf://me/support-triage")' in text
    assert 'AutoModelForCausalLM.from_pretrained("me/support-triage"' in text
    headings = re.findall("^## (.*)$", text, re.MULTILINE)
    assert headings[:2] == ["How to use it", "Coverage"]
    assert {"How it was made", "Limits", "License"} < set(headings)
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("sources", "made"),
    [
        ({"generated": 4}, "generated synthetic prompts and outputs"),
        ({"generated": 1, "logged": 3}, "rows (1 generated, 3 logged exchanges, those of the"),
        ({"logged": 4}, "pipeline: nothing was generated"),
    ],
    ids=["generated", "mix", "logged"],
)
def test_the_card_tells_what_the_model_was_trained_on(source, sources, made):
    synthesis = source.synthesis.model_copy(update={"rows_by_source": sources})
    text = " ".join(card_of(dataclasses.replace(source, synthesis=synthesis)).text.split())
    assert made in text
    assert ("generated synthetic prompts" in text) == ("generated" in sources)
    assert "the base model was trained on 3" in text


@pytest.mark.parametrize("has_base", [True, False], ids=["base", "no-base"])
def test_the_card_is_markdown_whose_parts_do_not_run_into_each_other(source, has_base):
    text = card_of(source if has_base else without_base(source)).text
    shown = MarkdownIt().enable("table").render(text)
    [quote] = re.findall("<blockquote>(.*?)</blockquote>", shown, re.DOTALL)
    assert quote.strip().endswith("they are no evaluation of the model.</p>")
    rates, formats = re.findall("<table>(.*?)</table>", shown, re.DOTALL)
    first_cells = re.findall(r"<tr>\s*<td>(.*?)</td>", rates)
    assert first_cells == ["holdout", "seed", "overall", "tag <code>typos</code>"]
    assert rates.count("<th>") == (3 if has_base else 2)
    assert len(re.findall(r"<tr>\s*<td>", formats)) == 3
    assert shown.count('class="language-python"') == 2


def verdicts_of(*rows):
    return "".join(f"{json.dumps(VERDICT | row)}\n" for row in rows).encode()


def test_the_card_shows_a_covered_answer_and_how_it_is_asked_for(source):
    missed = {"id": "c-0", "covered": False, "response": "wrong"}
    hostile = {"id": "c-2", "prompt": "It is ```broken```, 'so'\n# what?", "response": "yes"}
    text = card_of(dataclasses.replace(source, verdicts=verdicts_of(missed, hostile))).text
    shown = MarkdownIt().render(text)
    codes = re.findall('<code class="language-python">(.*?)</code>', shown, re.DOTALL)
    assert len(codes) == 2
    for code in map(html.unescape, codes):
        ast.parse(code)
        assert repr(hostile["prompt"]) in code
    assert html.escape(hostile["prompt"], quote=False) in html.unescape(shown)
    assert "# what?" not in re.findall("<h1>(.*?)</h1>", shown)
    assert "which does not count as covered" not in text
    text = card_of(dataclasses.replace(source, verdicts=verdicts_of(missed))).text
    assert "its evaluation, which does not count as covered:\n\n```\nwrong\n```" in text
    assert "The reference:\n\n```\n" in text


def test_without_a_short_answer_the_card_has_no_example(source):
    long = {"prompt": "word " * 200}
    roles = ("user", "assistant", "user")
    turns = {"prompt": json.dumps([{"role": role, "content": "a"} for role in roles])}
    text = card_of(dataclasses.replace(source, verdicts=verdicts_of(long, turns))).text
    assert "### An example" not in text
    assert "message = '...'\n" in text


@pytest.mark.parametrize("stand_in", [True, False], ids=["stand-in", "language-model"])
def test_the_limits_are_those_of_the_run(source, stand_in):
    cluster = FailureCluster(field="priority", reference="low", answered="normal", ids=("1", "2"))
    report = source.report.model_copy(update={"stand_in": stand_in, "failures": (cluster,)})
    made = source.synthesis.model_copy(update={"stand_in": stand_in})
    text = card_of(dataclasses.replace(source, report=report, synthesis=made)).text
    limits = text.partition("## Limits")[2].partition("## License")[0]
    assert ("grammar" in limits) == stand_in
    assert ("language model judged it" in limits) != stand_in
    assert "measured on 4 held-out prompts in en" in limits
    assert "covered at 30 to 95 % (95 % interval)" in limits
    assert "Weakest tag: `typos`, 50.0 % of 2 (95 % interval 9.5 to 90.5 %)." in limits
    assert "Most frequent mistake: `2 x priority: low answered normal`." in limits
    assert "2 longer rows were left out of the training" in limits


def test_every_models_rates_and_the_strict_ones_are_on_the_card_and_in_the_index(source):
    tuned, base = source.report.models["tuned"], source.report.models["base"]
    part = StrictPart(
        rate=rate(2, 4, 15.0, 85.0), fields={}, labels={},
        judge=JudgeDifference(points=0, warn=False, only_judge=(), only_strict=()),
    )  # fmt: skip
    strict = StrictReport(kind="json", overall=part, seed=part, holdout=part)
    report = source.report.model_copy(
        update={"models": {"tuned": tuned, "service": base}, "strict": {"tuned": strict}}
    )
    card = card_of(dataclasses.replace(source, report=report))
    assert "| prompts | Tuned model | Service LLM (ceiling) |\n" in card.text
    assert "| holdout | 50.0 % (2 of 4; 15.0 to 85.0) |\n" in card.text
    found = [(r.metric_type, r.dataset_split, r.metric_value) for r in card.data.eval_results]
    assert sorted(found) == [
        ("coverage_rate", "holdout", 75.0), ("coverage_rate", "seed", 100.0),
        ("strict_rate", "holdout", 50.0), ("strict_rate", "seed", 50.0),
    ]  # fmt: skip
    results = card.data.to_dict()["model-index"][0]["results"]
    strict_args = [m["args"] for r in results for m in r["metrics"] if m["type"] == "strict_rate"]
    assert [args["low_percent"] for args in strict_args] == [15.0, 15.0]
    assert "judge" not in strict_args[0]


def test_a_real_judge_without_a_base_gets_no_notice_and_no_empty_column(source):
    text = card_of(without_base(source, stand_in=False)).text
    assert "stand-in." not in text
    assert "| Untuned model |" not in text
    assert "| holdout | 75.0 % (3 of 4; 30.1 to 95.4) |\n" in text


def test_cards_of_a_local_hub_lead_to_folders_and_to_no_stranger_on_the_hub(source):
    local = dataclasses.replace(NAMES, is_local=True)
    card = ModelCard(model_content(PushSettings(), source, local).files["README.md"].decode())
    assert 'CausalLM.from_preset(".")' in card.text
    assert card.text.count('from_pretrained(".", subfolder="transformers")') == 2
    assert card.data.datasets is None
    dataset = dataset_content(PushSettings(), source, local).files["README.md"].decode()
    for text in (str(card), dataset):
        assert "huggingface.co/me/" not in text
        assert "huggingface.co/datasets/" not in text
        assert "hf://" not in text
    assert "`me/support-triage`, among the models of the same local hub, was trained" in dataset
    assert "`me/support-triage` among the datasets of the same local hub" in card.text


def test_the_card_does_not_say_who_wrote_the_coverage_prompts(source):
    """The datasheet of a coverage dataset says it; of imported logs nobody knows."""
    text = " ".join(card_of(source).text.split())
    assert "judged the responses to the coverage prompts." in text
    assert "by people" not in text
