"""A root key that another key service unwraps: a second Freehold server, over TLS, with a key policy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients_authority import Authority, make_authority
from custody_drive import trail

from freehold.custody import kms
from freehold.custody.access import Access
from freehold.custody.aws_credentials import find_credentials
from freehold.custody.errors import CustodyError
from freehold.custody.opening import establish
from freehold.custody.record import Head, Record
from freehold.testing import Principal, Server, ServerError, server


class KeyService:
    """The other Freehold: a user who may use a key for root keys alone, and that user's environment."""

    def __init__(self, running: Server, authority: Authority) -> None:
        self.server = running
        self.account = running.new_account()
        self.key = self.account.kms.create_key()["KeyMetadata"]["Arn"]
        condition = {"StringEquals": {"kms:EncryptionContext:freehold:purpose": "root key"}}
        statement = {
            "Effect": "Allow",
            "Action": ["kms:Encrypt", "kms:Decrypt"],
            "Resource": self.key,
            "Condition": condition,
        }
        self.user: Principal = self.account.new_user("freehold", {"Version": "2012-10-17", "Statement": [statement]})
        self.environment = {
            "AWS_ACCESS_KEY_ID": self.user.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.user.secret_access_key,
        }
        self.options = {"endpoint": running.endpoint, "key_id": self.key, "ca": str(authority.bundle)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def service(authority: Authority) -> Iterator[KeyService]:
    words = (f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}")
    with server(options=words, ca_bundle=str(authority.bundle)) as running:
        yield KeyService(running, authority)


@pytest.fixture
def here(service: KeyService, monkeypatch: pytest.MonkeyPatch) -> KeyService:
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kms, "ATTEMPTS", 1)
    return service


def test_a_key_service_opens_the_data_and_its_key_state_holds(service: KeyService, tmp_path: Path) -> None:
    words = ("--custody=kms", *(f"--with={name}={value}" for name, value in service.options.items()))
    made = Server(tmp_path, environment=service.environment, init=words)
    made.start()
    try:
        made.account.s3.create_bucket(Bucket="kept")
        assert made.operator.freehold.rotate_root_key()["Number"] == 2
        assert made.operator.freehold.get_root_key_status()["Custody"] == "kms"
        made.stop()
        service.account.kms.disable_key(KeyId=service.key)
        with pytest.raises(ServerError, match="refuses Decrypt: DisabledException"):
            made.start()
        service.account.kms.enable_key(KeyId=service.key)
        made.start()
        assert len(made.account.s3.list_buckets()["Buckets"]) == 1
        assert made.operator.freehold.rotate_root_key(Custody="file")["Number"] == 3
        made.stop()
        made._environment = dict(os.environ)
        made.start()
        assert len(made.account.s3.list_buckets()["Buckets"]) == 1
    finally:
        made.close()
    assert service.user.secret_access_key not in str(trail(made))
    contexts = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["encryptionContext"]
        for event in service.account.cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
        )["Events"]
    ]
    assert {context["freehold:purpose"] for context in contexts} == {"root key"}
    assert {context["freehold:deployment"] for context in contexts} == {Record.read(made.data).head.deployment}  # type: ignore[union-attr]


def made_by(options: dict[str, str], deployment: str = "d" * 32) -> Head:
    new = establish("kms", options, Access(Path("/nowhere")), deployment)
    return Head(deployment, 1, new.root_key.fingerprint(), 0, "kms", new.parameters)


def test_a_wrapped_root_key_is_bound_to_its_deployment(here: KeyService) -> None:
    head = made_by(here.options)
    assert kms.obtain(head, Access(Path("/nowhere"))).fingerprint() == head.fingerprint
    other = Head("e" * 32, 1, head.fingerprint, 0, "kms", head.parameters)
    with pytest.raises(CustodyError, match="InvalidCiphertextException"):
        kms.obtain(other, Access(Path("/nowhere")))
    another_key = here.account.kms.create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(CustodyError, match="AccessDenied"):
        kms.obtain(
            Head("d" * 32, 1, head.fingerprint, 0, "kms", {**head.parameters, "key_id": another_key}),
            Access(Path("/nowhere")),
        )


def test_what_a_key_service_refuses_is_said_in_a_line(
    here: KeyService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    untrusted = {name: value for name, value in here.options.items() if name != "ca"}
    plain = {**here.options, "endpoint": here.options["endpoint"].replace("https", "http")}
    for options, says in [
        ({**here.options, "key_id": "alias/none"}, "NotFoundException|AccessDenied"),
        ({**here.options, "region": "eu-central-1"}, "refuses Encrypt"),
        ({**here.options, "region": "../x"}, "not the name of one"),
        (untrusted, "certificate cannot be verified"),
        (plain, "https://HOST"),
        ({**here.options, "endpoint": "https://127.0.0.1:1"}, "can't be reached: ConnectionRefusedError"),
        ({**here.options, "ca": "/nowhere"}, "cannot be read"),
        ({"region": "us-east-1"}, "missing required field `key_id`"),
    ]:
        with pytest.raises(CustodyError, match=says):
            made_by(options)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong" * 8)
    with pytest.raises(CustodyError, match="refuses Encrypt: InvalidSignatureException") as refused:
        made_by(here.options)
    assert "wrong" not in str(refused.value)


def test_credentials_come_from_the_environment_or_the_shared_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    credentials, configuration = tmp_path / "credentials", tmp_path / "config"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configuration))
    with pytest.raises(CustodyError, match="no AWS credentials"):
        find_credentials()
    configuration.write_text("[profile other]\naws_access_key_id = A2\naws_secret_access_key = s2\n")
    credentials.write_text("[default]\naws_access_key_id=A1\naws_secret_access_key=s%1\naws_session_token=t1\n")
    found = find_credentials()
    assert (found.access_key_id, found.secret.reveal(), found.session_token) == ("A1", "s%1", "t1")
    assert "s%1" not in repr(found)
    assert "t1" not in repr(found)
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert find_credentials().access_key_id == "A2"
    credentials.write_text("this = is no [ section\nsecret-text")
    with pytest.raises(CustodyError, match="cannot be read") as refused:
        find_credentials()
    assert "secret-text" not in str(refused.value)
