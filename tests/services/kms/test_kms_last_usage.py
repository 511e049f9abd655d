"""GetKeyLastUsage: the last use of each key, told by every operation that uses one, and by nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from freehold.crypto.aead import Sealer
from freehold.services.kms.key_uses import TRACKED, KeyUses
from freehold.services.kms.records import LAST_USES, TOMBSTONES, Tombstone
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server, server


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(Path(tmp_path_factory.mktemp("last-usage"))) as made:
        yield made


@pytest.fixture
def account(own_server: Server) -> Any:
    return own_server.new_account()


def usage(aws: Any, key_id: str) -> Any:
    return aws.kms.get_key_last_usage(KeyId=key_id)


def new_key(aws: Any, spec: str = "SYMMETRIC_DEFAULT", usage: str = "ENCRYPT_DECRYPT", **params: Any) -> str:
    made: str = aws.kms.create_key(KeySpec=spec, KeyUsage=usage, **params)["KeyMetadata"]["KeyId"]
    return made


def test_the_operations_that_count_are_the_models() -> None:
    import botocore.session

    shape = botocore.session.get_session().get_service_model("kms").shape_for("KeyLastUsageTrackingOperation")
    assert set(shape.enum) == TRACKED


def test_a_key_that_was_never_used_says_since_when_that_is_known(account: Any) -> None:
    key_id = new_key(account)
    account.kms.describe_key(KeyId=key_id)
    shown = usage(account, key_id)
    assert (shown["KeyId"], shown["KeyLastUsage"]) == (key_id, {})
    assert shown["KeyCreationDate"] == account.kms.describe_key(KeyId=key_id)["KeyMetadata"]["CreationDate"]
    assert shown["TrackingStartDate"] == shown["KeyCreationDate"]


def test_each_use_replaces_the_one_before(account: Any) -> None:
    key_id = new_key(account)
    before = datetime.now(UTC)
    sealed = account.kms.encrypt(KeyId=key_id, Plaintext=b"text")
    last = usage(account, key_id)["KeyLastUsage"]
    assert last["Operation"] == "Encrypt"
    assert abs((last["Timestamp"] - before).total_seconds()) < 30
    assert last["KmsRequestId"] == sealed["ResponseMetadata"]["RequestId"]
    opened = account.kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])
    last = usage(account, key_id)["KeyLastUsage"]
    assert last["Operation"] == "Decrypt"
    assert last["KmsRequestId"] == opened["ResponseMetadata"]["RequestId"]


USES: list[tuple[str, str, str, Callable[[Any, str], Any]]] = [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "Encrypt", lambda kms, key: kms.encrypt(KeyId=key, Plaintext=b"text")),
    (
        "SYMMETRIC_DEFAULT",
        "ENCRYPT_DECRYPT",
        "GenerateDataKey",
        lambda kms, key: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
    ),
    (
        "SYMMETRIC_DEFAULT",
        "ENCRYPT_DECRYPT",
        "GenerateDataKeyWithoutPlaintext",
        lambda kms, key: kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256"),
    ),
    (
        "SYMMETRIC_DEFAULT",
        "ENCRYPT_DECRYPT",
        "GenerateDataKeyPair",
        lambda kms, key: kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256"),
    ),
    (
        "HMAC_256",
        "GENERATE_VERIFY_MAC",
        "GenerateMac",
        lambda kms, key: kms.generate_mac(KeyId=key, Message=b"text", MacAlgorithm="HMAC_SHA_256"),
    ),
    (
        "ECC_NIST_P256",
        "SIGN_VERIFY",
        "Sign",
        lambda kms, key: kms.sign(KeyId=key, Message=b"text", SigningAlgorithm="ECDSA_SHA_256"),
    ),
]


@pytest.mark.parametrize(("spec", "key_usage", "operation", "use"), USES, ids=[row[2] for row in USES])
def test_every_kind_of_use_counts(
    account: Any, spec: str, key_usage: str, operation: str, use: Callable[[Any, str], Any]
) -> None:
    key_id = new_key(account, spec, key_usage)
    use(account.kms, key_id)
    assert usage(account, key_id)["KeyLastUsage"]["Operation"] == operation


def test_what_fails_or_is_dry_is_no_use(account: Any) -> None:
    key_id = new_key(account)
    errors = account.kms.exceptions
    with pytest.raises(errors.DryRunOperationException):
        account.kms.encrypt(KeyId=key_id, Plaintext=b"text", DryRun=True)
    account.kms.disable_key(KeyId=key_id)
    with pytest.raises(errors.DisabledException):
        account.kms.encrypt(KeyId=key_id, Plaintext=b"text")
    assert usage(account, key_id)["KeyLastUsage"] == {}


def test_reencryption_is_a_use_of_both_keys(account: Any) -> None:
    source, target = new_key(account), new_key(account)
    blob = account.kms.encrypt(KeyId=source, Plaintext=b"text")["CiphertextBlob"]
    account.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)
    assert [usage(account, key)["KeyLastUsage"]["Operation"] for key in (source, target)] == ["ReEncrypt"] * 2


def test_uses_by_a_service_count(account: Any) -> None:
    key_id = new_key(account)
    account.s3.create_bucket(Bucket=(bucket := f"used-{account.account_id}"))
    account.s3.put_object(Bucket=bucket, Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    assert usage(account, key_id)["KeyLastUsage"]["Operation"] == "GenerateDataKey"
    account.s3.get_object(Bucket=bucket, Key="o")["Body"].read()
    assert usage(account, key_id)["KeyLastUsage"]["Operation"] == "Decrypt"


def test_the_event_is_the_one_in_the_owners_trail(own_server: Server, account: Any) -> None:
    other = own_server.new_account()
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{one.account_id}:root" for one in (account, other)]},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    made = account.kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]
    other.kms.encrypt(KeyId=made["Arn"], Plaintext=b"text")
    named = usage(account, made["KeyId"])["KeyLastUsage"]["CloudTrailEventId"]

    def events(who: Any) -> set[str]:
        attributes = [{"AttributeKey": "EventName", "AttributeValue": "Encrypt"}]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = {event["EventId"] for event in who.cloudtrail.lookup_events(LookupAttributes=attributes)["Events"]}
            if found:
                return found
            time.sleep(0.2)
        return set()

    assert named in events(account)
    assert named not in events(other)


def test_the_last_use_outlives_a_restart(tmp_path: Path) -> None:
    with server(tmp_path) as own:
        aws = own.account
        key_id = new_key(aws)
        aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")
        before = usage(aws, key_id)["KeyLastUsage"]
        own.stop()
        own.start()
        assert usage(aws, key_id)["KeyLastUsage"] == before


def test_last_usage_is_the_accounts_own_business(own_server: Server, account: Any, refused: Any) -> None:
    made = account.kms.create_key()["KeyMetadata"]
    stranger = own_server.new_account()
    with refused("AccessDeniedException"):
        stranger.kms.get_key_last_usage(KeyId=made["Arn"])
    account.kms.create_alias(AliasName="alias/mine", TargetKeyId=made["KeyId"])
    with refused("NotFoundException"):
        account.kms.get_key_last_usage(KeyId="alias/mine")
    user = account.new_user(
        f"reader-{os.urandom(4).hex()}",
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"}],
        },
    )
    with refused("AccessDeniedException", "kms:GetKeyLastUsage"):
        user.kms.get_key_last_usage(KeyId=made["KeyId"])


def test_a_use_that_is_written_after_its_keys_destruction_leaves_nothing(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path, bytes(32), Sealer(bytes(32)), SharedCounters())
    try:
        stone = Tombstone(account_id="111122223333", deleted_at=2.0)
        records.submit(lambda tx: TOMBSTONES.put(tx, ("us-east-1", "gone"), stone)).result()
        uses = KeyUses(records)
        for key_id in ("gone", "there"):
            uses._noted[f"arn:aws:kms:us-east-1:111122223333:key/{key_id}"] = ("Encrypt", 1.0, {}, "request")
        asyncio.run(uses.write_out())
        assert [at for at, _ in LAST_USES.scan(records.reader())] == [("us-east-1", "there")]
    finally:
        records.close()
