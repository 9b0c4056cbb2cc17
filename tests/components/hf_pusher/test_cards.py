"""The cards of the three repositories, as the hub's own classes read them."""

import ast
import dataclasses
import json
import re
from typing import Any

import pyarrow.parquet as parquet
import pytest
from huggingface_hub import DatasetCard, ModelCard, RepoCard
from markdown_it import MarkdownIt

from components.hf_pusher.contents import Names, dataset_content, model_content
from components.hf_pusher.settings import PushSettings
from components.hf_pusher.space import space_content
from core.reports.last_look import LastLook
from task.privacy import PrivacySettings
from tests.records import rate

NAMES = Names("me/support-triage", "me/support-triage")


def content_of(source, **settings):
    return model_content(PushSettings(**settings), source, NAMES)


def card_of(source, **settings):
    return ModelCard(content_of(source, **settings).files["README.md"].decode())


def without_base(source, **changes):
    models = {"tuned": source.report.models["tuned"]}
    report = source.report.model_copy(update={"models": models, **changes})
    return dataclasses.replace(source, report=report)


@pytest.fixture
def trained_from(model_dir):
    """Changes what the training record says."""

    def change(**values: Any):
        path = model_dir / "training.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


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
    assert "looked at 3 times, so part of its rate may be luck" in card.text
    first = card.data.eval_results[0]
    assert (first.dataset_split, first.metric_value) == ("test", 71.0)
    assert "test prompts" not in card_of(source).text


def test_the_card_tells_figures_making_limits_and_use(source):
    text = card_of(source).text
    assert "| holdout | 75.0 % (3 of 4) | 30.1 to 95.4 | 0.0 % (0 of 4) |\n" in text
    assert "| tag `typos` | 50.0 % (1 of 2) | 9.5 to 90.5 | 0.0 % (0 of 2) |\n" in text
    assert "Judged by a stand-in" in text
    assert "trained on 3 of them with LoRA" in text
    assert "- steps: 40\n" in text
    assert "losses" not in text, "lists of the training record do not belong in the card"
    assert 'from_preset("hf://me/support-triage")' in text
    assert 'AutoModelForCausalLM.from_pretrained("me/support-triage"' in text
    for heading in ("## Coverage", "## How to use it", "## How it was made", "## Limits"):
        assert f"\n\n{heading}\n\n" in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize("has_base", [True, False], ids=["base", "no-base"])
def test_the_card_is_markdown_whose_parts_do_not_run_into_each_other(source, has_base):
    text = card_of(source if has_base else without_base(source)).text
    shown = MarkdownIt().enable("table").render(text)
    [quote] = re.findall("<blockquote>(.*?)</blockquote>", shown, re.DOTALL)
    assert quote.strip().endswith("they are no evaluation of the model.</p>")
    rates, formats = re.findall("<table>(.*?)</table>", shown, re.DOTALL)
    first_cells = re.findall(r"<tr>\s*<td>(.*?)</td>", rates)
    assert first_cells == ["holdout", "seed", "overall", "tag <code>typos</code>"]
    assert rates.count("<th>") == (4 if has_base else 3)
    assert len(re.findall(r"<tr>\s*<td>", formats)) == 3
    assert shown.count('class="language-python"') == 2


def test_a_real_judge_without_a_base_gets_no_notice_and_no_empty_column(source):
    text = card_of(without_base(source, stand_in=False)).text
    assert "stand-in." not in text
    assert "| base model |" not in text
    assert "| holdout | 75.0 % (3 of 4) | 30.1 to 95.4 |\n" in text


def test_a_training_of_all_weights_is_not_called_lora(source, trained_from, model_dir):
    exports = json.loads((model_dir / "training.json").read_text())["exports"]
    exports.pop("adapter")
    trained_from(hparams={"epochs": 1, "method": "full"}, exports=exports)
    (model_dir / "adapter.lora.h5").unlink()
    card = card_of(source)
    assert "lora" not in card.data.tags
    assert "LoRA" not in card.text
    assert "adapter" not in card.text


@pytest.mark.parametrize(
    ("preset", "license_id", "notice"),
    [
        ("gemma3_1b", "gemma", "Gemma Terms of Use found at ai.google.dev/gemma/terms"),
        ("llama3.2_1b", "llama3.2", "Built with Llama. Llama 3.2 is licensed under"),
        ("llama2_7b_en", "llama2", "Llama 2 is licensed under the Llama 2 Community License"),
        ("mistral_7b_en", "apache-2.0", None),
    ],
    ids=["gemma", "llama3.2", "llama2", "mistral"],
)
def test_the_terms_of_the_base_model_go_with_the_weights(
    source, trained_from, preset, license_id, notice
):
    trained_from(preset=preset)
    content = content_of(source)
    card = ModelCard(content.files["README.md"].decode())
    assert card.data.license == license_id
    assert card.data.license_link in card.text
    assert "the weights are modified" in card.text
    if notice:
        assert notice in content.files["NOTICE"].decode()
        assert notice in card.text
    else:
        assert "NOTICE" not in content.files


def test_an_unknown_license_is_said_to_be_unknown(source, trained_from, model_dir):
    trained_from(preset="hf://someone/something")
    (model_dir / "preset" / "config.json").write_text('{"class_name": "MistralBackbone"}')
    card = card_of(source)
    assert card.data.license == "unknown"
    assert "does not know the license" in card.text
    assert card.data.base_model == "someone/something"


def test_settings_name_what_the_preset_does_not(source, trained_from):
    trained_from(preset="/data/ours")
    card = card_of(
        source,
        base_model="we/ours",
        license="other",
        license_name="ours-1.0",
        license_link="https://example.com/ours",
        languages=("de", "en"),
    )
    assert card.data.base_model == "we/ours"
    assert (card.data.license, card.data.license_name) == ("other", "ours-1.0")
    assert card.data.license_link == "https://example.com/ours"
    assert card.data.language == ["de", "en"]


def test_another_license_needs_a_name_and_a_link():
    with pytest.raises(ValueError, match="license_name and license_link"):
        PushSettings(license="other")


def test_random_weights_carry_no_license(source, trained_from):
    trained_from(preset="random:gemma3-tiny")
    card = card_of(source)
    assert card.data.license is None
    assert card.data.base_model is None
    assert "weights were random" in card.text


def dataset_files(source):
    return dataset_content(PushSettings(languages=("de",)), source, NAMES).files


def test_the_dataset_card_is_that_of_the_data_with_what_the_push_knows(source):
    files = dataset_files(source)
    card = DatasetCard(files["README.md"].decode())
    assert card.data.pretty_name == "Synthetic data for support_triage"
    assert card.data.language == ["de"]
    assert "4 pairs of a prompt and the desired output." in card.text
    assert "[me/support-triage](https://huggingface.co/me/support-triage) was trained" in card.text
    [config] = card.data.configs
    for file in config["data_files"]:
        pattern = file["path"].replace("*", "00000-of-00001")
        assert pattern in files, "the viewer finds every split"


def test_equal_rows_are_equal_bytes_in_whatever_order_their_columns_come(source):
    turned = {
        split: [dict(reversed(row.items())) for row in rows] for split, rows in source.rows.items()
    }
    assert dataset_files(dataclasses.replace(source, rows=turned)) == dataset_files(source)


def test_all_splits_have_the_same_columns_even_where_one_is_empty_of_values(source, tmp_path):
    rows = {
        "train": [{"id": "s-1", "prompt": "p", "score": 0.5}, {"id": "s-2", "extra": "x"}],
        "eval": [{"id": "s-3", "prompt": None}],
    }
    files = dataset_files(dataclasses.replace(source, rows=rows))
    read = {}
    for split in rows:
        path = tmp_path / f"{split}.parquet"
        path.write_bytes(files[f"data/{split}-00000-of-00001.parquet"])
        read[split] = parquet.read_table(path)
    assert read["train"].schema == read["eval"].schema
    assert read["train"].column_names == ["id", "prompt", "extra", "score"]
    assert read["train"].to_pylist()[1] == {"id": "s-2", "prompt": None, "extra": "x"} | {
        "score": None
    }


def test_the_space_card_has_what_the_hub_needs_to_start_it(source):
    content = space_content(source, NAMES, revision="round-2-abc")
    card = RepoCard(content.files["README.md"].decode())
    data = card.data.to_dict()
    assert data["sdk"] == "gradio"
    assert data["app_file"] in content.files
    assert data["models"] == ["me/support-triage"]
    assert data["title"] == "Support triage"
    assert len(data["short_description"]) <= 60, "the Hub refuses longer ones"
    assert json.loads(content.files["space.json"])["revision"] == "round-2-abc"


def test_the_space_of_a_task_that_redacts_brings_what_hides_personal_data(source):
    plain = space_content(source, NAMES, revision="r")
    assert "privacy" not in json.loads(plain.files["space.json"])
    assert not [name for name in plain.files if name.startswith("task/")]
    privacy = PrivacySettings(redact=True, phone_regions=("DE",))
    content = space_content(dataclasses.replace(source, privacy=privacy), NAMES, revision="r")
    told = json.loads(content.files["space.json"])["privacy"]
    assert told == {"redact": True, "phone_regions": ["DE"]}
    brought = {name for name in content.files if name.startswith("task/")}
    assert {"task/privacy/detectors.py", "task/privacy/national_numbers.yaml"} < brought
    # It stands alone there: nothing else of the repository is imported.
    for name in (name for name in brought if name.endswith(".py")):
        tree = ast.parse(content.files[name])
        modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        own = {module for module in modules if module.startswith(("task", "core"))}
        for module in own:
            path = module.replace(".", "/")
            assert {f"{path}.py", f"{path}/__init__.py"} & brought, module
