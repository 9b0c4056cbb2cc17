"""Cards of the dataset and the Space."""

import ast
import dataclasses
import json

import pyarrow.parquet as parquet
import pytest
from huggingface_hub import DatasetCard, RepoCard

from components.hf_pusher.contents import dataset_content
from components.hf_pusher.settings import PushSettings
from components.hf_pusher.space import space_content
from reports.cards.dataset_card import render_card
from task.privacy import PrivacySettings
from tests.components.hf_pusher.cards import NAMES, card_of


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


@pytest.mark.parametrize(
    ("settings", "data", "shown"),
    [
        ({}, {"license": "unknown"}, None),
        ({"dataset_license": "cc-by-4.0"}, {"license": "cc-by-4.0"}, "published under cc-by-4.0."),
        (
            {"dataset_license": "other", "dataset_license_name": "ours-1",
             "dataset_license_link": "https://example.com/ours"},
            {"license": "other", "license_name": "ours-1"},
            "published under [ours-1](https://example.com/ours).",
        ),
    ],
    ids=["unnamed", "known", "other"],
)  # fmt: skip
def test_the_license_of_the_rows_is_the_one_that_was_named(source, settings, data, shown):
    generated = render_card(source.synthesis.model_copy(update={"stand_in": False}), [])
    named = dataclasses.replace(source, dataset_card=generated)
    files = dataset_content(PushSettings(**settings), named, NAMES).files
    card = DatasetCard(files["README.md"].decode())
    assert card.data.to_dict().items() >= data.items()
    text = card.text.partition("## License")[2].partition("## Samples")[0]
    assert "The terms of the service LLM (gemini / stand-in) say" in text
    assert (shown in text) if shown else "published under" not in text


def test_rows_that_nobody_generated_are_under_no_generators_terms(source):
    logged = source.synthesis.model_copy(update={"rows_by_source": {"logged": 4}})
    text = render_card(logged, []).partition("## License")[2].partition("## Samples")[0]
    assert "Logged exchanges are what users wrote" in text
    assert "grammar" not in text
    limits = card_of(dataclasses.replace(source, synthesis=logged)).text.partition("## Limits")[2]
    assert "It has learned from a service LLM" in limits


def test_another_license_of_the_rows_needs_a_name_and_a_link():
    with pytest.raises(ValueError, match="dataset_license_name and dataset_license_link"):
        PushSettings(dataset_license="other", dataset_license_name="ours")
    for name in ("dataset_license_name", "dataset_license_link"):
        with pytest.raises(ValueError, match="have no effect without a dataset_license"):
            PushSettings.model_validate({name: "ours"})


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
