"""Which components of a round run again after an edit, in a copy of this repository."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import code_version as module
from pipeline import pipeline as dag
from pipeline.config import load_config
from tests.nodes import NODES
from tests.pipeline.round_nodes import pipeline_nodes

ROOT = Path(__file__).parents[2]
ROOMS = (
    "components",
    "core",
    "judging",
    "labelling",
    "models",
    "reports",
    "service_llm",
    "serving",
    "task",
)
GENERATED = {"StatisticsGen", "ExampleValidator"}  # TFX's own, which use no code of ours
RESPONSE_GENS = {"ResponseGen", "BaseResponseGen", "FewShotResponseGen"}
USE_THE_SERVICE = {"SynthDataGen", "LLMEvaluator"}
OURS = set(NODES) - GENERATED - {"SchemaGen"}
EDITS = [
    ("core/errors.py", OURS),
    ("core/jsonl.py", {*USE_THE_SERVICE, "HFPusher"}),
    ("core/families.py", {"Transform", "Trainer", "Exporter", *RESPONSE_GENS, "HFPusher"}),
    ("core/optimizations.py", {"Trainer", "Exporter", *RESPONSE_GENS}),
    ("task/coverage/parsing.py", {"CoverageExampleGen"}),
    ("task/languages.yaml", {"SynthDataGen", "LLMEvaluator"}),
    ("service_llm/pacing/limiter.py", USE_THE_SERVICE),
    ("service_llm/providers/gemini.py", USE_THE_SERVICE),
    ("service_llm/prices.yaml", USE_THE_SERVICE),
    ("judging/judge.py", {"LLMEvaluator"}),
    ("judging/prompts/judge.v3.jinja", {"LLMEvaluator"}),
    ("components/artifacts.py", {*RESPONSE_GENS, "LLMEvaluator", "Exporter", "HFPusher"}),
    ("components/coverage_example_gen/executor.py", {"CoverageExampleGen"}),
    ("task/duplicates.py", {"SynthDataGen"}),
    ("components/synth_data_gen/prompts/answer.v3.jinja", {"SynthDataGen"}),
    ("components/trainer/executor.py", {"Trainer"}),
    ("components/response_gen/few_shot.py", RESPONSE_GENS),
    ("components/llm_evaluator/component.py", {"LLMEvaluator"}),
    ("components/hf_pusher/base_models.py", {"HFPusher"}),
    ("apps/space/style.css", {"HFPusher"}),
    ("models/preprocessing.py", {"Transform", "Trainer", "Exporter", *RESPONSE_GENS}),
    ("models/training/schedule.py", {"Trainer"}),
    ("models/generation/decoding.py", RESPONSE_GENS),
    ("components/exporter/settings.py", {"Exporter"}),
    ("models/export/gguf_file.py", {"Exporter"}),
    ("models/export/transformers_checkpoint.py", {"Exporter"}),
    ("models/export/trained_model.py", {"Trainer"}),
    ("reports/dataset_page/templates/dataset.html.j2", {"SynthDataGen"}),
    ("reports/evaluation_page/templates/judge.html.j2", {"LLMEvaluator"}),
    ("reports/templates/style.css", USE_THE_SERVICE),
    ("reports/cards/templates/model_card.md.j2", {"HFPusher"}),
    ("core/reports/training.py", {"Trainer", "Exporter", "HFPusher"}),
    ("reports/run_page/page.py", set()),
    ("pipeline/schema.pbtxt", {"SchemaGen"}),
    ("pipeline/rounds.py", set()),
    ("standin/server.py", set()),
    ("serving/settings.py", set()),
    ("labelling/app.py", set()),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    for name in (*ROOMS, "apps", "pipeline", "standin"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REPOSITORY", folder)
        yield folder
    forget()


@pytest.fixture(scope="module")
def before(tree):
    return keys()


def forget():
    module.code_version.cache_clear()
    module._repository.cache_clear()


def keys():
    """By node, what TFX's cache compares besides the inputs."""
    forget()
    nodes = pipeline_nodes(load_config("smoke", environ={}))
    return {name: str(sorted(node.exec_properties.items())) for name, node in nodes.items()}


def test_a_file_of_every_room_is_edited():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tools"}
    assert {file.partition("/")[0] for file, _ in EDITS} == rooms | {"apps"}


@pytest.mark.parametrize(("file", "again"), EDITS)
def test_an_edit_runs_those_components_again_that_use_the_file(tree, before, file, again):
    content = (tree / file).read_bytes()
    (tree / file).write_bytes(content + b"\n")
    after = keys()
    (tree / file).write_bytes(content)
    assert set(before) == set(NODES)
    assert {node for node, key in after.items() if key != before[node]} == again


@pytest.mark.parametrize(
    ("dotted", "again"),
    [
        ("GENERATE_FN", RESPONSE_GENS),
        ("EXPORT_FN", {"Exporter"}),
        ("RUN_FN", {"Trainer"}),
        ("PREPROCESSING_FN", {"Transform"}),
    ],
)
def test_a_function_named_by_its_path_counts_for_who_is_given_it(tree, monkeypatch, dotted, again):
    (tree / "core" / "other.py").write_text("def function(): ...\n")
    monkeypatch.setattr(dag, dotted, "core.other.function")
    before = keys()
    (tree / "core" / "other.py").write_text("def function(): return 1\n")
    after = keys()
    assert {node for node, key in after.items() if key != before[node]} == again


def test_every_data_file_counts_for_some_component_or_command():
    found = set(module.CodeGraph(ROOT).files(*_roots(), "local_runner"))
    data = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert data <= found, "Name them from __file__, or with a PackageLoader, where they are read."


def _roots():
    """The modules that the keys of all components start from."""
    return {name for names in _roots_by_node().values() for name in names}


def _roots_by_node():
    asked = {}

    def record(*names):
        asked[" ".join(names)] = names
        return " ".join(names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dag, "code_version", record)
        made = keys()
    return {
        node: names for node, key in made.items() for text, names in asked.items() if text in key
    }


_IMPORT_EACH = """
import importlib, json, os, sys
import tensorflow, tfx.components.trainer.component, tfx.components.pusher.component
import keras_hub

for node, names in json.loads(sys.argv[1]).items():
    if os.fork() == 0:
        for name in names:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                importlib.import_module(name.rpartition(".")[0])
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        print(json.dumps([node, [file for file in files if file]]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.slow
def test_whatever_a_component_imports_when_it_is_loaded_counts():
    roots = {node: names for node, names in _roots_by_node().items() if node != "SchemaGen"}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_EACH, json.dumps(roots)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = dict(json.loads(line) for line in done.stdout.splitlines())
    assert set(loaded) == OURS
    graph = module.CodeGraph(ROOT)
    for node, files in loaded.items():
        ours = {Path(f).relative_to(ROOT).as_posix() for f in files if f.startswith(f"{ROOT}/")}
        ours = {file for file in ours if not file.startswith(".venv/")}
        assert len(ours) > 2, node
        assert ours <= set(graph.files(*roots[node])), node
