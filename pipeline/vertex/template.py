"""The compiled job as bytes, for the pipeline root."""

import tempfile
from pathlib import Path

from pipeline.config import Config


def compile_template(config: Config) -> bytes:
    """The PipelineJob of one round as JSON; see `compile_job`."""
    # Imported here: TFX takes ten seconds, and a loop that goes on needs nothing of it.
    from pipeline.vertex.job_file import compile_job

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        compile_job(config, file)
        return file.read_bytes()
