import datetime
import ssl
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import MODEL_TEXT, SERVICE_TEXT, Harness, harness, unused_port


@pytest.fixture
def servers() -> Iterator[Harness]:
    with harness() as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[Harness]:
    """A gateway for all tests of a module."""
    with harness() as servers:
        yield servers.start()


@pytest.fixture
def well(shared: Harness) -> Harness:
    """The same, with a service and a model that are well."""
    shared.service.behavior = fakes.healthy(SERVICE_TEXT)
    shared.model.behavior = fakes.model(MODEL_TEXT)
    shared.forget()
    return shared


@pytest.fixture
def unknown_certificate(tmp_path):
    """A TLS server whose certificate nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "server.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture(scope="module")
def unreachable() -> Iterator[Harness]:
    """A gateway whose service has an address at which nobody listens."""
    with harness() as servers:
        yield servers.start(servers.settings(base_url=f"http://127.0.0.1:{unused_port()}"))
