"""Another root key in the place of one, in a running server: what was stored stays, the former key opens nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from custody_drive import (
    CHEAP,
    PASSPHRASE,
    anyone,
    every_byte,
    giving,
    is_sealed,
    operator_environment,
    printed,
    secret_file,
    trail,
    unseal,
    until,
)

from freehold.config import Settings
from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.mark import open_directory
from freehold.deployment import DeploymentError, NeedsPeople, opened
from freehold.testing import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Custody by a file; not started."""
    return Server(tmp_path, workers=2)


def settings_of(server: Server) -> Settings:
    return Settings(data=server.data, root_key=server.root_key)


def test_rotating_a_key_file_is_online_and_the_former_key_opens_nothing(server: Server, tmp_path: Path) -> None:
    server.start()
    try:
        former = server.root_key.read_bytes()
        key = server.account.kms.create_key()["KeyMetadata"]["KeyId"]
        blob = server.account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
        first = server.operator.freehold.get_root_key_status()
        environment = operator_environment(server, dict(os.environ))
        done = printed("root-key", "rotate", f"--endpoint={server.endpoint}", environment=environment)
        assert (done["custody"], done["number"]) == ("file", 2)
        assert done["fingerprint"] != first["Fingerprint"]
        assert server.account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
        for _ in range(4):
            server.operator.freehold.rotate_root_key()
        assert server.operator.freehold.get_root_key_status()["Number"] == 6
        assert server.root_key.read_bytes() != former
        assert not server.root_key.with_name("data.root-key.next").exists()
        server.stop()
        server.start()
        assert server.account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    finally:
        server.close()
    server.root_key.write_bytes(former)
    with pytest.raises(DeploymentError, match="is not the one that the data was put under"):
        opened(settings_of(server))


def test_moving_through_every_custody_of_people_loses_nothing(server: Server, tmp_path: Path) -> None:
    server.start()
    try:
        account, operator = server.account, server.operator
        account.s3.create_bucket(Bucket="kept")
        account.s3.put_object(Bucket="kept", Key="object", Body=b"content")
        environment = operator_environment(server, dict(os.environ))
        at = f"--endpoint={server.endpoint}"
        secret = secret_file(tmp_path, PASSPHRASE)
        move = ("root-key", "move", at, "--to")
        done = printed(*move, "passphrase", f"--secret-file={secret}", *CHEAP, environment=environment)
        assert (done["custody"], done["number"]) == ("passphrase", 2)
        server.root_key.unlink()
        server.stop()
        server.start()
        assert is_sealed(server)
        anyone(server).unseal(Passphrase=PASSPHRASE)
        until(lambda: not is_sealed(server))
        into = tmp_path / "shares"
        words = ("shamir", "--with=shares=3", "--with=threshold=2", f"--shares-to={into}")
        done = printed(*move, *words, environment=environment)
        assert (done["custody"], done["number"]) == ("shamir", 3)
        shares = [(into / f"share-{number}").read_text().strip() for number in (1, 2, 3)]
        assert (into / "share-1").stat().st_mode & 0o777 == 0o600
        operator.freehold.seal()
        until(lambda: is_sealed(server))
        unseal(server, shares[0], shares[2])
        done = printed(*move, "file", environment=environment)
        assert (done["custody"], done["number"]) == ("file", 4)
        with pytest.raises(ClientError, match="not in people's hands"):
            operator.freehold.seal()
        server.stop()
        server.start()
        assert account.s3.get_object(Bucket="kept", Key="object")["Body"].read() == b"content"
        assert operator.freehold.get_root_key_status()["Custody"] == "file"
    finally:
        server.close()
    told = [event for event in trail(server) if event["eventName"] in ("RotateRootKey", "ConfirmRootKeyShares")]
    assert [event["userIdentity"]["type"] for event in told] == ["Operator"] * 4
    kept = every_byte(server) + str(told).encode()
    assert not [secret for secret in (PASSPHRASE, *shares) if secret.encode() in kept]


def test_shares_take_effect_only_once_enough_of_them_are_given_back(server: Server) -> None:
    server.start()
    try:
        freehold = server.operator.freehold
        made = freehold.rotate_root_key(Custody="shamir", Options={"shares": "3", "threshold": "2"})
        first, second, _ = made["Shares"]
        confirm = {"ConfirmationId": made["ConfirmationId"]}
        assert freehold.get_root_key_status()["Custody"] == "file"
        for wrong in ([first], [first, first], [first, second + " zero"], ["zero", second]):
            with pytest.raises(ClientError) as refused:
                freehold.confirm_root_key_shares(**confirm, Shares=wrong)
            assert refused.value.response["Error"]["Code"] == "ValidationException"
            assert first not in str(refused.value)
        assert freehold.get_root_key_status()["Pending"]
        assert freehold.confirm_root_key_shares(**confirm, Shares=[second, first])["Custody"] == "shamir"
        assert not freehold.get_root_key_status()["Pending"]
        with pytest.raises(ClientError, match="no shares with this ConfirmationId"):
            freehold.confirm_root_key_shares(**confirm, Shares=[second, first])

        stale = freehold.rotate_root_key()
        freehold.rotate_root_key(Custody="file")
        with pytest.raises(ClientError) as refused:
            freehold.confirm_root_key_shares(ConfirmationId=stale["ConfirmationId"], Shares=stale["Shares"][:2])
        assert refused.value.response["Error"]["Code"] == "ConflictException"
        server.advance(hours=2)
        assert not freehold.get_root_key_status()["Pending"]
    finally:
        server.close()


REFUSED = [  # what is asked for, what is said
    ({"Custody": "shamir", "Options": {"shares": "3", "threshold": "4"}}, "2 to 16 shares"),
    ({"Custody": "shamir", "Options": {"shares": "3", "threshold": "1"}}, "2 to 16 shares"),
    ({"Custody": "shamir", "Options": {"shares": "17", "threshold": "2"}}, "2 to 16 shares"),
    ({"Custody": "shamir"}, "shares"),
    ({"Custody": "shamir", "Options": {"shares": "3", "threshold": "2", "holders": "3"}}, "unknown field `holders`"),
    ({"Custody": "passphrase"}, "the new passphrase is needed"),
    ({"Custody": "passphrase", "Secret": "too short"}, "at least 12 characters"),
    ({"Custody": "passphrase", "Secret": "long enough passphrase", "Options": {"memory_mib": "1"}}, "out of bounds"),
    ({"Custody": "passphrase", "Secret": "long enough passphrase", "Options": {"memory_mib": "999999"}}, "of bounds"),
    ({"Options": {"place": "/etc"}}, "unknown field `place`"),
]  # fmt: skip


def test_what_cannot_be_is_refused_and_changes_nothing(freehold_server: Server) -> None:
    freehold = freehold_server.operator.freehold
    before = (freehold_server.data / "custody").read_bytes()
    for asked, says in REFUSED:
        with pytest.raises(ClientError, match=says) as refused:
            freehold.rotate_root_key(**asked)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    account = freehold_server.new_account()
    for call in (account.freehold.rotate_root_key, account.freehold.get_root_key_status):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert (freehold_server.data / "custody").read_bytes() == before


def test_a_key_file_that_cannot_be_written_keeps_the_former_one(server: Server, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    key_file = elsewhere / "key"
    shutil.move(server.root_key, key_file)
    server._options = [f"--root-key={key_file}"]
    server.start()
    try:
        key_file.rename(tmp_path / "key")
        elsewhere.rmdir()
        elsewhere.write_text("not a directory")
        with pytest.raises(ClientError, match="The root key is as it was"):
            server.operator.freehold.rotate_root_key()
    finally:
        server.close()
    assert open_directory(server.data, Access(tmp_path / "key")).head.number == 1


def test_a_deployment_of_the_first_format_opens_and_gets_a_keyring_by_rotation(tmp_path: Path) -> None:
    server = made_in_first_format(tmp_path)
    server.start()
    try:
        assert server.account.s3.list_buckets()["Buckets"] == []
        key = server.account.kms.create_key()["KeyMetadata"]["KeyId"]
        blob = server.account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
        assert not (server.data / "custody").exists()
        assert server.operator.freehold.get_root_key_status()["Number"] == 1
        assert server.operator.freehold.rotate_root_key()["Number"] == 2
        assert (server.data / "deployment").read_text().startswith("freehold-data-2 ")
        server.stop()
        server.start()
        assert server.account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    finally:
        server.close()


def made_in_first_format(directory: Path) -> Server:
    """As the first version of Freehold made it: the sealing keys are the root key's own."""
    from first_format import as_first_format

    return as_first_format(Server(directory))


def test_people_are_needed_offline_too(shamir_server: Server) -> None:
    with pytest.raises(NeedsPeople, match="2 of the shares are needed"):
        opened(settings_of(shamir_server))
    shares = shamir_server._made["shares"]
    assert opened(settings_of(shamir_server), giving(shares[2], shares[0])).head.kind == "shamir"
    assert RootKey.random().fingerprint() != opened(settings_of(shamir_server), giving(*shares)).head.fingerprint
