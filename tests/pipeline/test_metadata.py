"""A run's nodes are read from the metadata store in the order in which they ran."""

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2

from pipeline.metadata import latest_run

NODES = ("CoverageExampleGen", "SynthDataGen", "Trainer", "LLMEvaluator")


@pytest.fixture
def store():
    config = metadata_store_pb2.ConnectionConfig()
    config.fake_database.SetInParent()
    return mlmd.MetadataStore(config)


@pytest.fixture
def run_nodes(store):
    """Registers a run of the pipeline `demo` with those nodes."""
    component = store.put_execution_type(metadata_store_pb2.ExecutionType(name="component"))
    kinds = {
        name: store.put_context_type(metadata_store_pb2.ContextType(name=name))
        for name in ("pipeline", "pipeline_run", "node")
    }

    def context(kind, name):
        return metadata_store_pb2.Context(type_id=kinds[kind], name=name)

    def run(run_id, names):
        for name in names:
            execution = metadata_store_pb2.Execution(
                type_id=component, last_known_state=metadata_store_pb2.Execution.COMPLETE
            )
            contexts = [
                context("pipeline", "demo"),
                context("pipeline_run", run_id),
                context("node", f"demo.{name}"),
            ]
            store.put_execution(execution, [], contexts, reuse_context_if_already_exist=True)

    return run


def test_components_are_in_the_order_in_which_they_ran(store, run_nodes):
    run_nodes("first", NODES[:2])
    run_nodes("second", NODES)
    run = latest_run(store, "demo")
    assert run.run_id == "second"
    assert tuple(run.nodes) == NODES


def test_of_a_node_that_ran_twice_in_a_run_the_last_time_counts(store, run_nodes):
    run_nodes("first", (*NODES, "Trainer"))
    newest = max(execution.id for execution in store.get_executions())
    assert latest_run(store, "demo").nodes["Trainer"].origin == newest


def test_a_pipeline_without_a_run_is_said_to_have_none(store):
    with pytest.raises(LookupError, match="no run of the pipeline 'demo'"):
        latest_run(store, "demo")
