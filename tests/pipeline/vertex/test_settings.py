"""Settings that Google Cloud would refuse, and the dated tables that they are checked with."""

import re
from pathlib import Path

import pytest
from google.cloud import aiplatform_v1

from core.errors import UserError
from pipeline.vertex import machines
from tests.pipeline.vertex.conftest import vertex_config


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        pytest.param("vertex.pipeline_root=/tmp/x", "vertex.pipeline_root", id="no bucket"),
        pytest.param("vertex.secrets={HF_TOKEN: hf_abc}", "vertex.secrets", id="a secret's value"),
        pytest.param("vertex.network=default", "vertex.network", id="no full name"),
        pytest.param("vertex.labels={Team: x}", "vertex.labels", id="an upper-case label"),
        pytest.param("vertex.reserved_ip_ranges=[a]", "set network", id="ranges of no network"),
        pytest.param("vertex.accelerator_type=L4", "vertex.accelerator_type", id="no such name"),
        pytest.param(
            "vertex.accelerator_type=NVIDIA_L40", "no accelerator 'NVIDIA_L40'", id="an L40"
        ),
        pytest.param(
            "vertex.accelerator_type=NVIDIA_GB200", "no accelerator 'NVIDIA_GB200'", id="Arm"
        ),
        pytest.param("vertex.accelerator_count=3", "to one of 1, 2, 4, 8", id="three of a kind"),
        pytest.param(
            "vertex.accelerator_count=4,vertex.spot_machine_type=g2-standard-8",
            "has 1 of NVIDIA_L4, not 4",
            id="a g2-standard-8 with four",
        ),
        pytest.param("vertex.cpu_limit=500", "vertex.cpu_limit", id="500 CPUs"),
        pytest.param("vertex.cpu_limit=48", "at most 32 CPUs and 128 GiB", id="48 CPUs with an L4"),
        pytest.param("vertex.region=mars-east9", "no region 'mars-east9'", id="no such region"),
        pytest.param("vertex.dataflow_subnetwork=default", "subnetworks", id="no subnetwork"),
        pytest.param(
            "vertex.dataflow_subnetwork=regions/us-east1/subnetworks/a",
            "not in europe-west4",
            id="a subnetwork elsewhere",
        ),
        pytest.param("vertex.labels={1team: x}", "vertex.labels", id="a label of a digit"),
        pytest.param("vertex.labels={goog-x: x}", "Google's goog", id="a label of Google's"),
        pytest.param("vertex.labels={pipeline: x}", "is set by the runner", id="a label of ours"),
        pytest.param("vertex.labels={round: x}", "is set by the runner", id="the round's label"),
        pytest.param("vertex.labels={started-by: x}", "is set by the runner", id="another of ours"),
        pytest.param("vertex.task_hours=0.001", "vertex.task_hours", id="no time to start"),
        *(
            pytest.param(f"vertex.{field}={image}", f"vertex.{field}", id=f"{field} {image}")
            for field in ("image", "trainer_image")
            for image in (
                "pipeline:abc-cuda",
                "foo bar",
                "https://gcr.io/team/pipeline:1",
                "gs://team/pipeline",
                "gcr.io/Team/pipeline",
                "gcr.io/team/pipeline:",
            )
        ),
        *(
            pytest.param(
                f"vertex.accelerator_type=null,vertex.spot_machine_type={machine}",
                f"no machine '{machine}'",
                id=machine,
            )
            for machine in (
                *("e2-standard-5", "foo-bar-9", "n1-standard-7", "n1-standard-0", "e2-8"),
                # Machines of Compute Engine that Vertex AI does not train on.
                *("e2-standard-2", "e2-highcpu-2", "e2-highcpu-8", "n1-standard-2", "n1-highcpu-8"),
                *("n2-standard-2", "n2-standard-96", "n2-highcpu-8", "t2d-standard-1"),
                *("n4-standard-2", "c2d-standard-8", "c3-highcpu-22", "c4d-standard-384"),
            )
        ),
        pytest.param(
            "vertex.accelerator_type=NVIDIA_TESLA_T4,vertex.spot_machine_type=n1-standard-1",
            "no machine 'n1-standard-1': n1-standard has 4, 8",
            id="a small n1 with a T4",
        ),
        pytest.param("vertex.pipeline_root=gs://Team/x", "vertex.pipeline_root", id="capitals"),
        *(
            pytest.param(f"vertex.pipeline_root=gs://{bucket}/x", expected, id=bucket[:20])
            for bucket, expected in (
                ("a" * 64, "1 to 63 characters"),
                (f"a.{'b' * 64}.c", "1 to 63 characters"),
                ("a..b", "1 to 63 characters"),
                ("goog-team", "Google keeps names"),
                ("my-google-bucket", "Google keeps names"),
                ("192.168.5.4", "it is an IP address"),
            )
        ),
        *(
            pytest.param(f"vertex.project={project}", "vertex.project", id=f"project {project}")
            for project in ("My Team!", "team-", "-team", "123456789", "a/b", "a" * 31)
        ),
        pytest.param(
            "vertex.spot_machine_type=g2-standard-48", "has 4 of NVIDIA_L4, not 1", id="four L4s"
        ),
        pytest.param(
            "vertex.spot_machine_type=g2-standard-7", "no machine 'g2-standard-7'", id="no machine"
        ),
        pytest.param(
            "vertex.spot_machine_type=e2-standard-8", "cannot carry 1 of NVIDIA_L4", id="an e2"
        ),
        pytest.param(
            "vertex.encryption_key=projects/p/locations/us/keyRings/r/cryptoKeys/k",
            "not in europe-west4",
            id="a key elsewhere",
        ),
        pytest.param(
            "vertex.encryption_key=projects/p/locations/us/keyRings/europe-west4/cryptoKeys/k",
            "not in europe-west4",
            id="a key ring named as the region",
        ),
        pytest.param(
            "vertex.network_attachment=projects/europe-west4/regions/us-east1/networkAttachments/a",
            "not in europe-west4",
            id="an attachment elsewhere",
        ),
        pytest.param(
            "vertex.spot_machine_type=a2-highgpu-1g",
            "carries NVIDIA_TESLA_A100 and not NVIDIA_L4",
            id="a machine without an L4",
        ),
    ],
)
def test_a_setting_that_google_cloud_would_refuse_is_refused_at_once(override, expected):
    with pytest.raises(UserError, match=expected):
        vertex_config("vertex", *override.split(","))


@pytest.mark.parametrize(
    "image",
    [
        "gcr.io/team/pipeline",
        "europe-west4-docker.pkg.dev/team/under.study_1/pipeline__x:1.0-cuda",
        f"127.0.0.1:5000/pipeline:1@sha256:{'0' * 64}",
    ],
)
def test_an_image_with_its_registry_is_taken(image):
    assert vertex_config("vertex", f"vertex.image={image}").vertex_settings.image == image


@pytest.mark.parametrize(
    "override",
    [
        f"vertex.pipeline_root=gs://{'a' * 63}.{'b' * 63}.example.com/x/",
        "vertex.pipeline_root=gs://1_bucket-of.goo",
        "vertex.project=my-team-123456",
        "vertex.project=example.com:my-team",
    ],
)
def test_a_possible_bucket_or_project_is_taken(override):
    key, _, value = override.removeprefix("vertex.").partition("=")
    assert getattr(vertex_config("vertex", override).vertex_settings, key) == value


@pytest.mark.parametrize("machine", ["e2-standard-4", "n1-highmem-2", "n2-highcpu-16"])
def test_a_machine_of_the_table_without_an_accelerator_is_taken(machine):
    overrides = ("vertex.accelerator_type=null", f"vertex.spot_machine_type={machine}")
    assert vertex_config("vertex", *overrides).vertex_settings.spot_machine_type == machine


def test_the_accelerators_of_the_table_are_vertex_ais():
    assert set(machines.accelerators()) <= set(aiplatform_v1.AcceleratorType.__members__)


def test_the_regions_of_the_table_are_those_of_googles_client():
    client = Path(aiplatform_v1.__file__).parents[1] / "aiplatform" / "constants" / "base.py"
    supported = client.read_text(encoding="utf-8").partition("SUPPORTED_REGIONS")[2]
    assert set(re.findall(r'"([a-z]+-[a-z]+\d+)"', supported.partition("}")[0])) >= machines.REGIONS


def test_two_ways_into_a_network_are_refused():
    attachment = "projects/1/regions/europe-west4/networkAttachments/tasks"
    with pytest.raises(UserError, match="mutually exclusive"):
        vertex_config(
            "vertex",
            "vertex.network=projects/1/global/networks/private",
            f"vertex.network_attachment={attachment}",
        )
