"""The files of deploy/serve fit what they configure: Kubernetes, Cloud Run, systemd, nginx."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.cli.parser import make_parser
from pipeline.config import load_config
from tests.deploy.manifests import problems

ROOT = Path(__file__).parents[2]
SERVE = ROOT / "deploy" / "serve"
MANIFESTS = list(yaml.safe_load_all((SERVE / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda m: f"{m['kind']} {m['metadata']['name']}"
)
def test_a_manifest_is_as_kubernetes_has_it(manifest):
    assert problems(manifest) == []


def test_a_misspelled_field_of_a_manifest_is_found():
    deployment = next(m for m in MANIFESTS if m["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    broken = deployment | {
        "spec": deployment["spec"]
        | {"template": {"spec": pod | {"containers": [{"nam": "x", "ports": "8100"}]}}}
    }
    found = " ".join(problems(broken))
    assert "no field 'nam'" in found
    assert "'8100' is no list" in found


def _by_name(kind, name):
    return next(m for m in MANIFESTS if m["kind"] == kind and m["metadata"]["name"] == name)


def test_services_find_their_pods_and_ports():
    for name in ("understudy-gateway", "understudy-model"):
        service = _by_name("Service", name)["spec"]
        pod = _by_name("Deployment", name)["spec"]["template"]
        assert service["selector"].items() <= pod["metadata"]["labels"].items()
        ports = {
            port["name"]: port["containerPort"]
            for container in pod["spec"]["containers"]
            for port in container["ports"]
        }
        for port in service["ports"]:
            assert ports[port["targetPort"]] == port["port"]


@pytest.mark.parametrize("file", ["kubernetes.yaml", "cloud-run.yaml"])
def test_the_gateways_container_starts_with_options_that_it_knows(file):
    for manifest in yaml.safe_load_all((SERVE / file).read_text()):
        template = manifest.get("spec", {}).get("template", {}).get("spec", {})
        for container in template.get("containers", []):
            if container["name"] == "gateway":
                options = make_parser().parse_args(["serve", *container["args"]])
                assert options.presets == ["/config/preset.yaml"]
                ports = [port["containerPort"] for port in container["ports"]]
                assert ports == [options.port]


def test_the_preset_of_the_config_map_is_a_preset(tmp_path):
    text = _by_name("ConfigMap", "understudy-preset")["data"]["preset.yaml"]
    text = text.replace("REPLACE-NAME", "name").replace("REPLACE_TASK", "task")
    file = tmp_path / "preset.yaml"
    file.write_text(text)
    serving = load_config(str(file), environ={}).serving
    assert (serving.host, serving.key_env) == ("0.0.0.0", "UNDERSTUDY_KEY")
    url = re.match(r"http://([a-z-]+):(\d+)/v1", serving.model.url)
    model = _by_name("Service", url[1])
    assert model["spec"]["ports"][0]["port"] == int(url[2])


def test_containers_of_the_gateway_are_not_root_and_write_only_their_state():
    pod = _by_name("Deployment", "understudy-gateway")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    written = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
    assert written == ["/state"]


def test_the_cloud_run_service_starts_its_model_first():
    (service,) = yaml.safe_load_all((SERVE / "cloud-run.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    # Cloud Run would take the key of a caller for an identity token.
    assert service["metadata"]["annotations"]["run.googleapis.com/invoker-iam-disabled"] == "true"
    template = service["spec"]["template"]
    names = [container["name"] for container in template["spec"]["containers"]]
    dependencies = template["metadata"]["annotations"]["run.googleapis.com/container-dependencies"]
    assert yaml.safe_load(dependencies) == {names[0]: [names[1]]}
    with_ports = [c["name"] for c in template["spec"]["containers"] if "ports" in c]
    assert with_ports == ["gateway"]  # Cloud Run sends requests to the only one
    mounted = {m["name"] for c in template["spec"]["containers"] for m in c.get("volumeMounts", [])}
    assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}


# What a revision of Knative has beside the fields of a pod.
# https://cloud.google.com/run/docs/reference/yaml/v1
REVISION = {"containerConcurrency": int, "timeoutSeconds": int}


def test_the_cloud_run_service_has_only_fields_that_there_are():
    (service,) = yaml.safe_load_all((SERVE / "cloud-run.yaml").read_text())
    assert service.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert service["spec"].keys() == {"template"}
    template = service["spec"]["template"]
    assert template.keys() == {"metadata", "spec"}
    pod = dict(template["spec"])
    own = {name: pod.pop(name) for name in REVISION if name in pod}
    assert {name: type(value) for name, value in own.items()} == REVISION
    assert problems(pod, "V1PodSpec") == []
    for metadata in (service["metadata"], template["metadata"]):
        assert problems(metadata, "V1ObjectMeta") == []
        assert all(isinstance(value, str) for value in metadata["annotations"].values())
    pod["containers"][0]["port"] = pod["containers"][0].pop("ports")
    assert problems(pod, "V1PodSpec")  # a misspelled one is found


def test_the_cloud_run_service_reads_the_token_that_the_setup_makes():
    (service,) = yaml.safe_load_all((SERVE / "cloud-run.yaml").read_text())
    variables = {
        variable["name"]: variable["valueFrom"]["secretKeyRef"]["name"]
        for container in service["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", [])
    }
    common = (SERVE.parent / "common.sh").read_text()
    assert f"TOKEN_SECRET:-{variables['HF_TOKEN']}}}" in common


def test_the_systemd_unit_runs_commands_that_exist():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(SERVE / "understudy.service")
    service = unit["Service"]
    for key in ("ExecStart", "ExecReload"):
        program, *arguments = shlex.split(service[key])
        assert program == "/opt/understudy/.venv/bin/understudy"
        options = make_parser().parse_args(arguments)
        assert options.presets == ["/etc/understudy/preset.yaml"]
    assert service["User"] != "root"
    assert service["Restart"] == "always"


@pytest.mark.skipif(not shutil.which("nginx"), reason="apt-get install nginx")
def test_nginx_takes_its_configuration(tmp_path):
    text = f"pid {tmp_path}/nginx.pid;\n" + (SERVE / "nginx.conf").read_text()
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    command = ["nginx", "-t", "-c", str(file), "-p", str(tmp_path), "-e", str(tmp_path / "error")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_prometheus_finds_the_gateways_and_brings_their_key():
    config = yaml.safe_load((SERVE / "prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    assert job["metrics_path"] == "/understudy/metrics"
    assert job["authorization"] == {"credentials_file": "/etc/prometheus/understudy/key"}
    assert [(SERVE / name).exists() for name in config["rule_files"]] == [True]
    kept = {
        rule["source_labels"][0].removeprefix("__meta_kubernetes_pod_"): rule["regex"]
        for rule in job["relabel_configs"]
        if rule.get("action") == "keep"
    }
    (gateway,) = (
        each["spec"]["template"]
        for each in MANIFESTS
        if each["kind"] == "Deployment" and each["metadata"]["name"] == "understudy-gateway"
    )
    assert gateway["metadata"]["labels"]["app"] == kept["label_app"]
    (container,) = gateway["spec"]["containers"]
    assert container["ports"][0]["name"] == kept["container_port_name"]
