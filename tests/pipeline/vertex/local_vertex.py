"""Runs a compiled PipelineJob on local disk, task by task, as Vertex AI Pipelines does.

The order of the tasks, their parameters and the places of their artifacts are decided here; what a
task does is decided by the commands in the compiled job, which run in this process.
"""

import contextlib
import json
import os
import runpy
import sys
from types import SimpleNamespace


class LocalVertex:
    """The service: a bucket that is a folder, and runs that are executed at once.

    Args:
        job: The compiled job.
        bucket: Its `gs://` pipeline root.
        folder: The folder that stands for it.
    """

    def __init__(self, job, bucket, folder):
        self.spec = json.loads(json.dumps(job["pipelineSpec"]).replace(bucket, str(folder)))
        self.folder = folder

    def run(self, run_id, parameters):
        """Execute all tasks; returns what the client calls `task_details`."""
        definitions = self.spec["root"]["inputDefinitions"]["parameters"]
        unknown = set(parameters) - set(definitions)
        assert not unknown, f"the job has no parameters {unknown}"
        values = {name: d["defaultValue"] for name, d in definitions.items()} | parameters
        outputs = {}
        for name in _in_order(self.spec["root"]["dag"]["tasks"]):
            outputs[name] = self._run_task(name, run_id, values, outputs)
        return [
            SimpleNamespace(
                task_name=name,
                outputs={
                    key: SimpleNamespace(artifacts=[SimpleNamespace(**artifact)])
                    for key, artifact in artifacts.items()
                },
            )
            for name, artifacts in outputs.items()
        ]

    def _run_task(self, name, run_id, values, outputs):
        task = self.spec["root"]["dag"]["tasks"][name]
        component = self.spec["components"][task["componentRef"]["name"]]
        executor = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]
        folder = self.folder / run_id / name
        produced = {
            key: {
                "name": f"projects/1/locations/x/metadataStores/y/artifacts/{run_id}-{name}-{key}",
                "uri": str(folder / key),
                "type": definition["artifactType"],
                "metadata": definition.get("metadata", {}),
            }
            for key, definition in component["outputDefinitions"]["artifacts"].items()
        }
        output_file = folder / "executor_output.json"
        executor_input = {
            "inputs": {
                "artifacts": {
                    key: {"artifacts": [_source(given, outputs)]}
                    for key, given in task.get("inputs", {}).get("artifacts", {}).items()
                },
                "parameterValues": {
                    key: _value(given, values)
                    for key, given in task.get("inputs", {}).get("parameters", {}).items()
                },
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [made]} for key, made in produced.items()},
                "outputFile": str(output_file),
            },
        }
        self._run_container(executor["container"], json.dumps(executor_input))
        written = json.loads(output_file.read_text(encoding="utf-8"))["artifacts"]
        for key, artifact in produced.items():
            artifact["metadata"] = {
                **artifact["metadata"],
                **written[key]["artifacts"][0].get("metadata", {}),
            }
        return produced

    def _run_container(self, container, executor_input):
        commands = [(container["command"], container["args"])]
        if "lifecycle" in container:
            driver = container["lifecycle"]["preCacheCheck"]
            commands.insert(0, (driver["command"], driver["args"]))
        environment = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        for command, args in commands:
            filled = [arg.replace("{{$}}", executor_input) for arg in args]
            with _environment(environment):
                _run_command([*command, *filled])


def _in_order(tasks):
    """Names of the tasks, each after those it depends on."""
    done = []
    while len(done) < len(tasks):
        ready = [
            name
            for name, task in sorted(tasks.items())
            if name not in done and set(task.get("dependentTasks", [])) <= set(done)
        ]
        assert ready, f"{set(tasks) - set(done)} wait for each other"
        done += ready
    return done


def _source(given, outputs):
    source = given["taskOutputArtifact"]
    return outputs[source["producerTask"]][source["outputArtifactKey"]]


def _value(given, values):
    if "componentInputParameter" in given:
        return values[given["componentInputParameter"]]
    return given["runtimeValue"]["constant"]


def _run_command(command):
    """Run `python -m MODULE ARGS` in this process: an interpreter for each task takes minutes."""
    assert command[:2] == ["python", "-m"], command[:2]
    known_argv = sys.argv
    sys.argv = command[2:]
    try:
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{command[2]} ended with status {end.code}") from end
    finally:
        sys.argv = known_argv


@contextlib.contextmanager
def _environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
