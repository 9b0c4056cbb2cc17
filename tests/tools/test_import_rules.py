"""The import rules cover every room, and what they forbid breaks one."""

import configparser
import contextlib
import copy
import io

import grimp
import pytest
from importlinter.application import use_cases
from importlinter.configuration import configure

from tools.any_share import ROOT

PLANTED = [
    ("core.errors", "serving.settings", "rooms"),
    ("core.errors", "labelling.run", "rooms"),
    ("task.messages", "service_llm.types", "rooms"),
    ("service_llm.types", "reports.theme", "rooms"),
    ("judging.judge", "labelling.run", "rooms"),
    ("judging.judge", "standin.server", "rooms"),
    ("components.specs", "serving.settings", "rooms"),
    ("models.data", "labelling.run", "rooms"),
    ("serving.settings", "labelling.run", "rooms"),
    ("pipeline.config", "tools.any_share", "rooms"),
    ("reports.theme", "task.form", "core-only"),
    ("standin.server", "core.errors", "alone"),
    ("apps.space.page", "core.errors", "alone"),
    ("components.specs", "benchmarks", "workshop"),
    ("pipeline.config", "local_runner", "workshop"),
    ("serving.settings", "models.hparams", "models"),
    ("labelling.run", "service_llm.types", "labelling"),
    ("components.exporter.executor", "components.trainer.executor", "components"),
    ("service_llm.errors", "service_llm.providers.gemini", "circles"),
    ("judging.rates", "tensorflow", "plain"),
    ("serving.settings", "tfx", "light"),
]


@pytest.fixture(scope="module")
def rules():
    """The contracts by their ids, with the graph of the imports."""
    configure()
    options = use_cases.read_user_options(config_filename=str(ROOT / ".importlinter"))
    use_cases._register_contract_types(options)
    packages = options.session_options["root_packages"]
    graph = grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
    names = configparser.ConfigParser()
    names.read(ROOT / ".importlinter")
    ids = [name.rpartition(":")[2] for name in names.sections() if ":contract:" in name]
    contracts = {}
    for contract_id, values in zip(ids, options.contracts_options, strict=True):
        kind = use_cases.registry.get_contract_class(values["type"])
        contracts[contract_id] = kind(values["name"], options.session_options, values)
    return graph, contracts


def test_every_room_is_under_the_rules():
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(config["importlinter"]["root_packages"].split()) == rooms | {"apps"}
    layers = config["importlinter:contract:rooms"]["layers"].replace("|", " ").split()
    assert set(layers) == rooms | {"apps"}


@pytest.mark.parametrize(("importer", "imported", "rule"), PLANTED)
def test_a_forbidden_import_breaks_its_rule(rules, importer, imported, rule):
    graph, contracts = rules
    graph = copy.deepcopy(graph)  # a check removes what its contract ignores
    assert importer in graph.modules
    assert imported in graph.modules or "." not in imported, f"there is no module {imported}"
    if imported not in graph.modules:
        graph.add_module(imported, is_squashed=True)
    assert imported not in graph.find_modules_directly_imported_by(importer)
    graph.add_import(importer=importer, imported=imported)
    with contextlib.redirect_stdout(io.StringIO()):
        assert not contracts[rule].check(graph, verbose=False).kept
