"""Runs a compiled PipelineJob on local disk, task by task, as Vertex AI Pipelines does.

The order of the tasks, their parameters, the places of their artifacts and what comes from the
cache are decided here; what a task does is decided by the commands in the compiled job, which run
in this process.
"""

import contextlib
import json
import os
import runpy
import sys
from types import SimpleNamespace

from google.cloud import aiplatform_v1

_LAUNCHER = "google_cloud_pipeline_components.container.v1.custom_job.launcher"
_RESTARTS = 6  # https://cloud.google.com/vertex-ai/docs/training/use-spot-vms


class Preempted(BaseException):
    """Raised inside a task: its spot machine is taken away."""


class LocalVertex:
    """The service: a bucket that is a folder, and runs that are executed at once.

    Args:
        job: The compiled job.
        bucket: Its `gs://` pipeline root.
        folder: The folder that stands for it.

    Attributes:
        outputs: The artifacts by key, by task, by run.
        executed: Names of the tasks that came from no cache, by run.
        custom_jobs: The custom jobs that were started.
    """

    def __init__(self, job, bucket, folder):
        self.spec = json.loads(json.dumps(job["pipelineSpec"]).replace(bucket, str(folder)))
        self.folder = folder
        self.outputs = {}
        self.executed = {}
        self.custom_jobs = []
        self._cache = {}

    def run(self, run_id, parameters):
        """Execute all tasks; returns what the client calls `task_details`."""
        outputs = self.outputs[run_id] = {}
        for name in _in_order(self.spec["root"]["dag"]["tasks"]):
            outputs[name] = self.run_task(name, run_id, parameters, outputs)
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

    def run_task(self, name, run_id, parameters, outputs):
        """Execute one task.

        Args:
            name: The task.
            run_id: Names the folder of its outputs.
            parameters: Runtime parameters.
            outputs: Artifacts by key, by task, of the tasks before.

        Returns:
            Its artifacts by key.
        """
        task = self.spec["root"]["dag"]["tasks"][name]
        component = self.spec["components"][task["componentRef"]["name"]]
        executors = self.spec["deploymentSpec"]["executors"]
        container = executors[component["executorLabel"]]["container"]
        produced = _produced(component, run_id, name, self.folder / run_id / name)
        inputs = self._inputs(task, parameters, outputs)
        output_file = self.folder / run_id / name / "executor_output.json"
        executor_input = {
            "inputs": inputs,
            "outputs": {
                "artifacts": {key: {"artifacts": [made]} for key, made in produced.items()},
                "parameters": {
                    key: {"outputFile": str(output_file.with_name(key))}
                    for key in component["outputDefinitions"].get("parameters", {})
                },
                "outputFile": str(output_file),
            },
        }
        found = {}
        if driver := container.get("lifecycle", {}).get("preCacheCheck"):
            _run_commands(driver, executor_input, container.get("env", []))
            found = json.loads(output_file.read_text(encoding="utf-8")).get("parameterValues", {})
        cache_key = json.dumps([container, inputs, found], sort_keys=True)
        if task["cachingOptions"].get("enableCache") and cache_key in self._cache:
            return self._cache[cache_key]
        self.executed.setdefault(run_id, []).append(name)
        if _LAUNCHER in container["command"]:
            self._launch(container["args"], executor_input)
        else:
            _run_commands(container, executor_input, container.get("env", []))
        written = json.loads(output_file.read_text(encoding="utf-8"))["artifacts"]
        for key, artifact in produced.items():
            artifact["metadata"] |= written[key]["artifacts"][0].get("metadata", {})
        self._cache[cache_key] = produced
        return produced

    def _inputs(self, task, parameters, outputs):
        definitions = self.spec["root"]["inputDefinitions"]["parameters"]
        unknown = set(parameters) - set(definitions)
        assert not unknown, f"the job has no parameters {unknown}"
        values = {name: d["defaultValue"] for name, d in definitions.items()} | parameters
        given = task.get("inputs", {})
        return {
            "artifacts": {
                key: {"artifacts": [_source(source, outputs)]}
                for key, source in given.get("artifacts", {}).items()
            },
            "parameterValues": {
                key: _value(source, values) for key, source in given.get("parameters", {}).items()
            },
        }

    def _launch(self, args, executor_input):
        """Do as Google's launcher does: run a custom job, again where its machine is taken away."""
        flags = dict(zip(args[::2], args[1::2], strict=True))
        # Inside the payload's strings, the description of the execution is escaped once.
        escaped = json.dumps(json.dumps(executor_input))[1:-1]
        payload = flags["--payload"].replace("{{$.json_escape[1]}}", escaped)
        custom_job = aiplatform_v1.CustomJob.from_json(payload)  # refuses unknown fields
        self.custom_jobs.append(custom_job)
        output = flags["--gcp_resources"]
        assert output == "{{$.outputs.parameters['gcp_resources'].output_file}}"
        assert executor_input["outputs"]["parameters"]["gcp_resources"]["outputFile"]
        [pool] = custom_job.job_spec.worker_pool_specs
        spec = pool.container_spec
        variables = [{"name": variable.name, "value": variable.value} for variable in spec.env]
        for _ in range(1 + _RESTARTS):
            with contextlib.suppress(Preempted):
                _run_commands({"command": spec.command, "args": spec.args}, {}, variables)
                return
        raise AssertionError(f"{custom_job.display_name} was interrupted too often")


def _produced(component, run_id, name, folder):
    """The artifacts that a task is to make, by key, as Vertex AI announces them."""
    return {
        key: {
            "name": f"projects/1/locations/x/metadataStores/y/artifacts/{run_id}-{name}-{key}",
            "uri": str(folder / key),
            "type": definition["artifactType"],
            "metadata": dict(definition.get("metadata", {})),
        }
        for key, definition in component["outputDefinitions"]["artifacts"].items()
    }


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


def _run_commands(container, executor_input, environment):
    description = json.dumps(executor_input)
    filled = [
        argument.replace("{{$}}", description).replace("{{$.pipeline_job_resource_name}}", "")
        for argument in container["args"]
    ]
    with _environment({variable["name"]: variable["value"] for variable in environment}):
        _run_module([*container["command"], *filled])


def _run_module(command):
    """Run `python -m MODULE ARGS` in this process: an interpreter for each task takes minutes."""
    assert command[:2] == ["python", "-m"], command[:2]
    known_argv = sys.argv
    sys.argv = command[2:]
    # A new interpreter has not imported what it is to run, and runpy warns where this one has.
    imported = sys.modules.pop(command[2], None)
    try:
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{command[2]} ended with status {end.code}") from end
    finally:
        sys.argv = known_argv
        if imported:
            sys.modules[command[2]] = imported


@contextlib.contextmanager
def _environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
