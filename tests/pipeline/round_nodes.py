"""The nodes of one round's pipeline, made as a run makes them."""

from pipeline.pipeline import create_pipeline
from pipeline.schema import SCHEMA_FILE


def pipeline_nodes(config, **changes):
    """Make a round's pipeline; return its nodes by their ids.

    Args:
        config: A whole configuration.
        changes: Arguments of `create_pipeline` that differ from those of a first round.
    """
    arguments = {
        "pipeline_root": "/tmp/root",
        "journal_uri": "/tmp/journal",
        "checkpoint_uri": "/tmp/checkpoints",
        "coverage_dir": config.coverage_dir,
        "schema_file": SCHEMA_FILE,
        "round": 1,
        "history_uri": "",
        "report_uri": "",
    }
    return {node.id: node for node in create_pipeline(config, **(arguments | changes)).components}
