"""The parts that need no server: splitting, unpacking, where requests go, settings."""

import gzip
import json
import zlib

import brotli
import pytest
import zstandard
from google import genai
from google.auth.credentials import AnonymousCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import UserError
from service_llm.settings import ServiceLLMSettings
from serving.gateway import faults
from serving.gateway.faults import Fault, Scope
from serving.gateway.protocols import recognize
from serving.gateway.protocols.base import StreamForm
from serving.gateway.streams import splitter
from serving.gateway.unpacking import Unpacker, UnpackError
from serving.gateway.upstream import Upstream, name_of, proxy_for
from serving.settings import ServingSettings

BODIES = [
    {"text": 'a "quoted" text, \\ and {brackets} [here]'},
    {"nested": {"a": [{"b": "}"}]}, "empty": {}, "line": "a\n\nb"},
    {"text": "\\\\"},
    {"text": "ü 日本 🫖"},
]


def events(end: str) -> bytes:
    lines = [f": a comment{end}{end}", f"event: x{end}id: 1{end}"]
    lines += [f"data: {json.dumps(body, ensure_ascii=False)}{end}{end}" for body in BODIES]
    return "".join(lines).encode()


def array() -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps(b, indent=1).encode() for b in BODIES) + b"\n]\n"


def cuts(data: bytes, sizes: list[int]) -> list[bytes]:
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return [*parts, data[at:]]


@given(st.lists(st.integers(1, 40), max_size=60), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_found_however_they_are_cut(sizes, end):
    found, data = [], events(end)
    events_of = splitter(StreamForm.SSE)
    for part in cuts(data, sizes):
        found += [json.loads(body) for body in events_of.feed(part)]
    assert found == BODIES
    assert events_of.whole_bytes == len(data)
    assert events_of.rest() == b""


@given(st.lists(st.integers(1, 40), max_size=60))
@example([1] * 200)  # a backslash that another escapes comes alone
def test_elements_of_an_array_are_found_however_they_are_cut(sizes):
    found, data = [], array()
    elements = splitter(StreamForm.ARRAY)
    for part in cuts(data, sizes):
        found += [json.loads(body) for body in elements.feed(part)]
        # Up to here it becomes an array again with an error at its end.
        whole = data[: elements.whole_bytes]
        json.loads((whole + b"," if whole else b"[") + b'{"error": 1}]')
    assert found == BODIES
    assert elements.rest() == b""


@pytest.mark.parametrize("tail", ["\n", "\n\n", "\r\n\r\n", ""])
def test_an_error_as_bare_json_after_events_is_found(tail):
    error = json.dumps({"error": {"code": 503}}, indent=2) + tail
    events_of = splitter(StreamForm.SSE)
    found = events_of.feed(events("\n") + error.encode())
    last = found[-1] if len(found) > len(BODIES) else events_of.rest()
    assert json.loads(last) == {"error": {"code": 503}}


def test_a_last_event_without_its_empty_line_counts_as_clients_read_it():
    events_of = splitter(StreamForm.SSE)
    assert events_of.feed(b'data: {"a": 1}\n') == []
    assert json.loads(events_of.rest()) == {"a": 1}
    assert events_of.whole_bytes == 0


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_copy_is_unpacked_piece_by_piece(encoding, size):
    data = b"some text, again and again " * 50
    packed = ENCODINGS[encoding](data)
    unpacker = Unpacker(encoding)
    parts = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpacker.feed(part) for part in parts) == data


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_bytes_that_are_not_what_they_claim_are_told(encoding):
    with pytest.raises(UnpackError, match="not the encoding it claims"):
        Unpacker(encoding).feed(b"\xff" * 100)


def test_an_encoding_that_is_not_known_is_told():
    with pytest.raises(UnpackError, match="'rot13' cannot be read"):
        Unpacker("rot13")


# ---- where requests go -------------------------------------------------------------------------

STUDIO = "https://generativelanguage.googleapis.com"
VERTEX = "/v1/projects/p/locations/{}/publishers/google/models/x:generateContent"


def where(path: str, *, query: bytes = b"", is_openai_client: bool = False, **service) -> str:
    settings = ServiceLLMSettings(**{"provider": "gemini", "model": "x", **service})
    url = Upstream(settings).url(path, query, is_openai_client=is_openai_client)
    return str(url)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1beta/models/x:generateContent", f"{STUDIO}/v1beta/models/x:generateContent"),
        (VERTEX.format("global"), "https://aiplatform.googleapis.com"),
        (VERTEX.format("europe-west4"), "https://europe-west4-aiplatform.googleapis.com"),
        (
            VERTEX.format("us"),
            "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us",
        ),
        (
            VERTEX.format("eu"),
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu",
        ),
        ("/v1/publishers/google/models/x:generateContent", "https://aiplatform.googleapis.com/v1"),
        # A location that is no name of a region is not made a host.
        (VERTEX.format("evil.example%2F"), f"{STUDIO}/v1/projects"),
    ],
)
def test_paths_of_google_go_to_their_own_hosts(path, target):
    assert where(path, api_key_env="K").startswith(target)


@pytest.mark.parametrize(
    ("service", "path", "backend"),
    [
        ({}, "/v1beta/models/x:generateContent", "service"),
        ({}, "/v1/chat/completions", "service"),
        ({}, "/v1/projects/p/locations/us-central1/x", "service:us-central1"),
        ({}, "/v1/projects/p/locations/global/x", "service:global"),
        ({}, "/v1beta1/publishers/google/models/x:generateContent", "service:global"),
        ({"vertex_project": "p"}, "/v1/projects/p/locations/global/x", "service"),
        ({"vertex_project": "p"}, "/v1/chat/completions", "service"),
        (
            {"vertex_project": "p", "vertex_location": "europe-west4"},
            "/v1/projects/p/locations/europe-west4/x",
            "service",
        ),
        ({"vertex_project": "p", "vertex_location": "eu"}, VERTEX.format("eu"), "service"),
        ({"vertex_project": "p", "vertex_location": "eu"}, VERTEX.format("us"), "service:us"),
        ({"vertex_project": "p"}, "/v1beta/models/x:generateContent", "service:ai-studio"),
        ({}, VERTEX.format("northamerica-northeast2"), "service:northamerica-northeast2"),
        ({}, VERTEX.format("made-up"), "service:no-such-location"),
        ({}, VERTEX.format("us-central1-"), "service:no-such-location"),
        ({"base_url": "http://127.0.0.1:1"}, "/v1/projects/p/locations/us-central1/x", "service"),
        ({"provider": "openai", "base_url": "http://h/v1"}, "/v1/chat/completions", "service"),
    ],
)
def test_each_location_of_vertex_ai_is_a_backend_of_its_own(service, path, backend):
    given = {"provider": "gemini", "model": "m", "api_key_env": "K", **service}
    upstream = Upstream(ServiceLLMSettings(**given))
    assert upstream.backend(upstream.url(path, b"", is_openai_client=True)) == backend


@pytest.mark.parametrize("location", ["global", "us", "eu", "us-central1"])
def test_google_genai_takes_a_location_of_vertex_ai_to_the_same_host(location):
    client = genai.Client(
        vertexai=True, project="p", location=location, credentials=AnonymousCredentials()
    )
    own = client._api_client._http_options.base_url
    assert where(VERTEX.format(location), api_key_env="K").startswith(own)


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("service", "the service"),
        ("service:europe-west4", "the service in europe-west4"),
        ("service:ai-studio", "Google AI Studio"),
        ("service:no-such-location", "a location that Vertex AI does not have"),
    ],
)
def test_a_backend_is_named_as_one_says_it(backend, name):
    assert name_of(backend) == name


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/chat/completions", "/v1beta/openai/chat/completions"),
        ("/v1/models", "/v1beta/openai/models"),
        ("/v1/models/x", "/v1beta/openai/models/x"),
        ("/v1/models/x:generateContent", "/v1/models/x:generateContent"),
        ("/v1/operations/1", "/v1/operations/1"),
        ("/v1beta/openai/models", "/v1beta/openai/models"),
    ],
)
def test_openais_paths_go_to_geminis_endpoint_for_them_and_no_others(path, target):
    assert where(path, api_key_env="K", is_openai_client=True) == STUDIO + target


def test_openais_protocol_on_vertex_goes_to_its_endpoint_for_it():
    target = where(
        "/v1/chat/completions",
        is_openai_client=True,
        vertex_project="p",
        vertex_location="europe-west4",
    )
    assert target == (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"
        "/endpoints/openapi/chat/completions"
    )


@pytest.mark.parametrize("base_url", ["http://h:1/v1", "http://h:1/v1/"])
def test_a_service_of_openais_protocol_keeps_its_base_url(base_url):
    service = {"provider": "openai", "base_url": base_url}
    assert where("/v1/chat/completions", **service) == "http://h:1/v1/chat/completions"
    assert where("/v1beta/openai/models", **service) == "http://h:1/v1/models"
    assert where("/metrics", query=b"a=%20b", **service) == "http://h:1/metrics?a=%20b"


@pytest.mark.parametrize(
    ("service", "is_short"),
    [
        ({}, False),
        ({"vertex_project": "p"}, False),
        ({"base_url": "https://generativelanguage.googleapis.com"}, False),
        ({"provider": "openai", "base_url": "https://api.openai.com/v1"}, False),
        ({"base_url": "http://api.openai.com.example:8000"}, True),
        ({"provider": "openai", "base_url": "http://127.0.0.1:8000/v1"}, True),
    ],
)
def test_connections_to_servers_that_close_them_soon_are_not_kept_for_long(service, is_short):
    kept = Upstream(
        ServiceLLMSettings(**{"provider": "gemini", "model": "m", "api_key_env": "K", **service})
    ).keep_alive_seconds
    assert (kept < 5) == is_short  # uvicorn's and Node's limit


@pytest.mark.parametrize("address", ["localhost:8080", "ftp://h", "http://"])
def test_a_base_url_that_is_none_is_said(monkeypatch, address):
    monkeypatch.setenv("SERVICE_URL", address)
    with pytest.raises(UserError, match="SERVICE_URL"):
        where("/", base_url="env:SERVICE_URL")


def test_a_proxy_of_the_environment_is_used_but_not_for_hosts_without(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "proxy.internal:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    proxy_for.cache_clear()
    assert proxy_for("https", "generativelanguage.googleapis.com") == "http://proxy.internal:3128"
    assert proxy_for("https", "127.0.0.1") is None
    proxy_for.cache_clear()


def test_the_proxy_is_read_by_the_rule_of_the_service_llm(monkeypatch):
    """Python's own reading knows no networks, nor IPv6 in brackets."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.internal:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "[::1],10.0.0.0/8")
    proxy_for.cache_clear()
    assert proxy_for("https", "::1") is None
    assert proxy_for("https", "10.1.2.3") is None
    assert proxy_for("https", "11.1.2.3") == "http://proxy.internal:3128"
    proxy_for.cache_clear()


def test_a_proxy_that_cannot_be_used_is_said_at_the_start(monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@proxy.internal:1080")
    proxy_for.cache_clear()
    with pytest.raises(UserError, match=r"ALL_PROXY names a socks5:// proxy") as error:
        where("/", base_url="https://service.example")
    proxy_for.cache_clear()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/x:countTokens",
        "/v1beta/models/x:embedContent",
        "/v1beta/models/x:batchGenerateContent",
        "/v1beta/models",
        "/v1/embeddings",
        "/v1/completions",
        "/v1beta/models/x/y:generateContent",
        "/v1/projects/p/locations/l/publishers/meta/models/x:generateContent",
    ],
)
def test_only_requests_for_an_answer_are_taken(path):
    assert recognize("POST", path, b"") is None
    assert recognize("GET", "/v1beta/models/x:generateContent", b"") is None


# ---- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 301, 400, 405, 409, 413, 422])
def test_other_statuses_are_no_faults(status):
    assert faults.of_status(status, {"error": {"message": "bad"}}, {}) is None


def test_an_error_inside_counts_for_what_its_code_says():
    def scope(code: object) -> tuple[Fault, Scope]:
        failure = faults.of_error_inside({"error": {"code": code, "status": "X"}})
        return failure.fault, failure.scope

    assert scope(503) == (Fault.ERROR_INSIDE, Scope.BACKEND)
    assert scope(429) == (Fault.ERROR_INSIDE, Scope.KEY_AND_MODEL)
    assert scope("odd") == (Fault.ERROR_INSIDE, Scope.REQUEST)


def test_a_message_of_the_service_is_not_quoted_because_it_may_hold_a_key():
    body = {"error": {"message": "key AIza-secret is bad", "status": "UNAVAILABLE"}}
    failure = faults.of_status(503, body, {})
    assert failure is not None
    assert failure.text == "the service answered 503 UNAVAILABLE"


# ---- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"match": "template"}, "{prompt} once"),
        ({"match": "template", "template": "{prompt}{prompt}"}, "{prompt} once"),
        ({"first_byte_seconds": 0.0}, "above 0, or auto"),
        ({"first_byte_seconds": float("nan")}, "above 0, or auto"),
        ({"first_byte_bounds": {"min_seconds": 50}}, "must not decrease"),
        ({"alert_url": "hooks.example"}, "alert_url"),
        ({"alert_url": "http://[hooks.example/a"}, "no webhook can have this address"),
        ({"alert_url": "https:///services/a"}, "no webhook can have this address"),
        ({"alert_url": "https://hooks.example:port/a"}, "no webhook can have this address"),
        ({"alert_url": f"https://{'a' * 64}.example/a"}, "no webhook can have this address"),
        ({"hold_kib": -1}, "hold_kib"),
        ({"key_env": "not a name"}, "key_env"),
    ],
)
def test_settings_that_cannot_be_are_refused(values, why):
    with pytest.raises(ValueError, match=why.replace("{", "\\{")):
        ServingSettings(**values)


def test_every_setting_is_described():
    for model in (ServingSettings, *_nested(ServingSettings)):
        for name, field in model.model_fields.items():
            assert field.description, name


def _nested(model) -> list:
    kinds = [field.annotation for field in model.model_fields.values()]
    return [kind for kind in kinds if hasattr(kind, "model_fields")]
