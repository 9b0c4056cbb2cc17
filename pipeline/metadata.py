"""Reads a finished pipeline run from ML Metadata; works with the stores of both stacks."""

import dataclasses
from collections.abc import Mapping

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2

_OUTPUT_EVENTS = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)


@dataclasses.dataclass(frozen=True)
class NodeRun:
    """One node's part of a pipeline run.

    Attributes:
        node_id: The node's id in the pipeline.
        cached: Whether TFX reused an earlier execution.
        seconds: From registering the execution to its last update.
        outputs: By output key, the last artifact.
        origin: Id of the execution that made the outputs: this one, or the one that was reused.
        origin_seconds: Duration of that execution.
    """

    node_id: str
    cached: bool
    seconds: float
    outputs: Mapping[str, metadata_store_pb2.Artifact]
    origin: int = 0
    origin_seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class PipelineRun:
    """A pipeline run: its id and its nodes by id, in the order in which they ran."""

    run_id: str
    nodes: Mapping[str, NodeRun]

    def output(self, node_id: str, key: str) -> metadata_store_pb2.Artifact:
        """Return the artifact that a node wrote under a key; KeyError where it wrote none."""
        return self.nodes[node_id].outputs[key]


def latest_run(store: mlmd.MetadataStore, pipeline_name: str) -> PipelineRun:
    """Return the newest run of a pipeline.

    Args:
        store: An open metadata store.
        pipeline_name: Name of the pipeline.

    Returns:
        The run with every node that was executed or taken from the cache.

    Raises:
        LookupError: The pipeline has no run in this store.
    """
    pipeline = store.get_context_by_type_and_name("pipeline", pipeline_name)
    executions = store.get_executions_by_context(pipeline.id) if pipeline else []
    if not executions:
        raise LookupError(f"The metadata store has no run of the pipeline {pipeline_name!r}.")
    run_type = store.get_context_type("pipeline_run").id
    newest = max(executions, key=lambda e: e.id)
    run = next(c for c in store.get_contexts_by_execution(newest.id) if c.type_id == run_type)
    nodes = [
        _node_run(store, pipeline_name, execution)
        # The store returns the newest first.
        for execution in sorted(store.get_executions_by_context(run.id), key=lambda e: e.id)
    ]
    return PipelineRun(run.name, {node.node_id: node for node in nodes})


def _node_run(
    store: mlmd.MetadataStore, pipeline_name: str, execution: metadata_store_pb2.Execution
) -> NodeRun:
    node_type = store.get_context_type("node").id
    node_names = [
        c.name for c in store.get_contexts_by_execution(execution.id) if c.type_id == node_type
    ]
    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type in _OUTPUT_EVENTS
    }
    artifacts = store.get_artifacts_by_id(list(keys))
    origin = _origin(store, execution, list(keys))
    return NodeRun(
        node_id=node_names[0].removeprefix(f"{pipeline_name}."),
        cached=execution.last_known_state == metadata_store_pb2.Execution.CACHED,
        seconds=_seconds(execution),
        outputs={keys[a.id]: a for a in sorted(artifacts, key=lambda a: a.id)},
        origin=origin.id,
        origin_seconds=_seconds(origin),
    )


def _origin(
    store: mlmd.MetadataStore, execution: metadata_store_pb2.Execution, artifact_ids: list[int]
) -> metadata_store_pb2.Execution:
    """Return the first execution that wrote the artifacts; the given one where there are none."""
    events = store.get_events_by_artifact_ids(artifact_ids) if artifact_ids else []
    first = min((e.execution_id for e in events if e.type in _OUTPUT_EVENTS), default=execution.id)
    return execution if first == execution.id else store.get_executions_by_id([first])[0]


def _seconds(execution: metadata_store_pb2.Execution) -> float:
    return (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
