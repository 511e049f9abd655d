"""The AWS Encryption SDK for Python with KMS keyrings, and the Amazon S3 Encryption Client, against a live server.

Messages are encrypted with key commitment, in two Regions and accounts. The clients are AWS's own, unmodified.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from clients_encryption import Clients, Refused, told
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from freehold.testing import Server, server

HOME, AWAY = "us-east-1", "eu-west-1"
CONTEXT = {"tenant": "ada", "purpose": "letters"}
SUITE = "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384"


@pytest.fixture(scope="module")
def here() -> Iterator[Server]:
    with server(regions=(HOME, AWAY)) as running:
        yield running
        assert running.log() == ""


@pytest.fixture(scope="module")
def owner(here: Server) -> Any:
    return here.new_account("owner")


@pytest.fixture(scope="module")
def clients(here: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    made = Clients(here.endpoint, tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture
def key(owner: Any) -> str:
    return str(owner.kms.create_key()["KeyMetadata"]["Arn"])


def ring(key: str, **more: Any) -> dict[str, Any]:
    return {"kind": "kms", "key": key, "region": key.split(":")[3], **more}


def allowing(*actions: str, on: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": on}]}


def test_a_message_comes_back_and_keeps_its_context_and_commitment(clients: Clients, owner: Any, key: str) -> None:
    sealed = clients.ask("encrypt", owner, b"letter" * 5000, keyring=ring(key), context=CONTEXT)
    assert (sealed["suite"], sealed["edks"]) == (SUITE, 1)
    opened = clients.ask("decrypt", owner, sealed["data"], keyring=ring(key), context=CONTEXT)
    assert (opened["data"], opened["suite"]) == (b"letter" * 5000, SUITE)
    with pytest.raises(Refused, match="Encryption context"):
        clients.ask("decrypt", owner, sealed["data"], keyring=ring(key), context={"tenant": "eve"})
    altered = bytearray(sealed["data"])
    altered[-1] ^= 1
    with pytest.raises(Refused):
        clients.ask("decrypt", owner, bytes(altered), keyring=ring(key), context=CONTEXT)


def test_a_message_without_commitment_is_never_made(clients: Clients, owner: Any, key: str) -> None:
    uncommitted = {"algorithm": "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"}
    with pytest.raises(Refused, match="requiring only committed messages"):
        clients.ask("encrypt", owner, b"letter", keyring=ring(key), **uncommitted)


def test_the_keys_state_reaches_messages(clients: Clients, owner: Any, key: str) -> None:
    sealed = clients.ask("encrypt", owner, b"letter", keyring=ring(key))["data"]
    owner.kms.disable_key(KeyId=key)
    with pytest.raises(Refused, match="is disabled"):
        clients.ask("decrypt", owner, sealed, keyring=ring(key))
    with pytest.raises(Refused, match="is disabled"):
        clients.ask("encrypt", owner, b"letter", keyring=ring(key))
    owner.kms.enable_key(KeyId=key)
    assert clients.ask("decrypt", owner, sealed, keyring=ring(key))["data"] == b"letter"
    owner.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with pytest.raises(Refused, match="is pending deletion"):
        clients.ask("decrypt", owner, sealed, keyring=ring(key))


def test_permissions_decide_by_the_clients_context(clients: Clients, owner: Any, key: str) -> None:
    statement = allowing("kms:GenerateDataKey", "kms:Decrypt", on=key)
    statement["Statement"][0]["Condition"] = {"StringEquals": {"kms:EncryptionContext:tenant": "ada"}}
    ada = owner.new_user("ada", statement)
    eve = owner.new_user("eve", allowing("kms:GenerateDataKey", on=key))
    sealed = clients.ask("encrypt", ada, b"letter", keyring=ring(key), context=CONTEXT)["data"]
    assert clients.ask("decrypt", ada, sealed, keyring=ring(key))["data"] == b"letter"
    with pytest.raises(Refused, match="not authorized to perform: kms:GenerateDataKey"):
        clients.ask("encrypt", ada, b"letter", keyring=ring(key), context={**CONTEXT, "tenant": "bob"})
    with pytest.raises(Refused, match="not authorized to perform: kms:Decrypt"):
        clients.ask("decrypt", eve, sealed, keyring=ring(key))


def test_any_key_of_two_regions_and_accounts_opens_a_message(
    clients: Clients, here: Server, owner: Any, key: str
) -> None:
    partner = here.new_account("partner")
    away = owner.in_region(AWAY).kms.create_key()["KeyMetadata"]["Arn"]
    theirs = partner.kms.create_key()["KeyMetadata"]["Arn"]
    keys = [ring(key), ring(away), ring(theirs, **{"as": told(partner)})]
    sealed = clients.ask("encrypt", owner, b"letter", keyring={"kind": "multi", "of": keys}, context=CONTEXT)
    assert sealed["edks"] == 3
    for who, one in ((owner, keys[0]), (owner, keys[1]), (partner, keys[2])):
        assert clients.ask("decrypt", who, sealed["data"], keyring=one)["data"] == b"letter"
    # Who has all three is served by those that work.
    owner.kms.disable_key(KeyId=key)
    assert clients.ask("decrypt", owner, sealed["data"], keyring={"kind": "multi", "of": keys})["data"] == b"letter"
    with pytest.raises(Refused, match="not authorized to perform: kms:Decrypt"):
        clients.ask("decrypt", partner, sealed["data"], keyring=ring(away))


def test_discovery_finds_the_key_and_keeps_to_its_accounts(
    clients: Clients, here: Server, owner: Any, key: str
) -> None:
    partner = here.new_account("partner")
    sealed = clients.ask("encrypt", owner, b"letter", keyring=ring(key), context=CONTEXT)["data"]
    found = {"kind": "discovery", "region": HOME, "accounts": [owner.account_id]}
    assert clients.ask("decrypt", owner, sealed, keyring=found)["data"] == b"letter"
    with pytest.raises(Refused, match="AccessDeniedException"):
        clients.ask("decrypt", partner, sealed, keyring=found)
    with pytest.raises(Refused, match="No Encrypted Data Keys found to match"):
        clients.ask("decrypt", owner, sealed, keyring={**found, "accounts": [partner.account_id]})


def test_a_related_multi_region_key_opens_a_message_in_its_own_region(clients: Clients, owner: Any) -> None:
    primary = owner.kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    owner.kms.replicate_key(KeyId=primary, ReplicaRegion=AWAY)
    replica = primary.replace(HOME, AWAY)
    at_home = {"kind": "mrk", "key": primary, "region": HOME}
    away = {"kind": "mrk", "key": replica, "region": AWAY}
    sealed = clients.ask("encrypt", owner, b"letter", keyring=at_home, context=CONTEXT)["data"]
    for one in (away, {"kind": "mrk-discovery", "region": AWAY}):
        assert clients.ask("decrypt", owner, sealed, keyring=one)["data"] == b"letter"
    # A keyring that isn't aware of such keys looks for the very key that encrypted.
    with pytest.raises(Refused):
        clients.ask("decrypt", owner, sealed, keyring=ring(replica))
    owner.in_region(AWAY).kms.disable_key(KeyId=replica)
    with pytest.raises(Refused, match=rf"{AWAY}.* is disabled"):
        clients.ask("decrypt", owner, sealed, keyring=away)
    assert clients.ask("decrypt", owner, sealed, keyring=at_home)["data"] == b"letter"


def test_a_message_is_made_with_a_public_rsa_key_and_opened_here(clients: Clients, owner: Any) -> None:
    made = owner.kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    public = load_der_public_key(owner.kms.get_public_key(KeyId=made)["PublicKey"])
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    rsa = {"kind": "rsa", "key": made, "region": HOME, "public_key": pem}
    unsigned = {"algorithm": "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"}
    sealed = clients.ask("encrypt", owner, b"letter", keyring=rsa, context=CONTEXT, **unsigned)["data"]
    assert clients.ask("decrypt", owner, sealed, keyring=rsa)["data"] == b"letter"
    stranger = owner.new_user("stranger-to-rsa", allowing("kms:GetPublicKey", on=made))
    with pytest.raises(Refused, match="not authorized to perform: kms:Decrypt"):
        clients.ask("decrypt", stranger, sealed, keyring=rsa)


def test_two_parties_agree_on_a_key_with_ecdh(clients: Clients, here: Server, owner: Any) -> None:
    partner = here.new_account("partner")
    ours, theirs = (
        each.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["Arn"]
        for each in (owner, partner)
    )
    public = [
        base64.b64encode(who.kms.get_public_key(KeyId=each)["PublicKey"]).decode()
        for who, each in ((owner, ours), (partner, theirs))
    ]
    sending = {"kind": "ecdh", "key": ours, "region": HOME, "recipient": public[1]}
    receiving = {"kind": "ecdh", "key": theirs, "region": HOME, "recipient": public[0]}
    sealed = clients.ask("encrypt", owner, b"letter", keyring=sending, context=CONTEXT)["data"]
    assert clients.ask("decrypt", partner, sealed, keyring=receiving)["data"] == b"letter"
    with pytest.raises(Refused, match="not authorized to perform: kms:GetPublicKey"):
        clients.ask("decrypt", partner, sealed, keyring=sending)


def test_cached_materials_ask_once_for_ten_messages(clients: Clients, owner: Any, key: str) -> None:
    user = owner.new_user("caching", allowing("kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt", on=key))
    clients.ask("cached", user, b"letter", key=key, times=20, context=CONTEXT)
    asked = [
        event["EventName"]
        for event in owner.cloudtrail.lookup_events(MaxResults=50)["Events"]
        if json.loads(event["CloudTrailEvent"])["userIdentity"].get("userName") == "caching"
    ]
    assert sorted(asked) == ["Decrypt"] * 2 + ["GenerateDataKey"] * 2


def test_an_object_encrypted_by_the_s3_client_is_ciphertext_here_and_there(
    clients: Clients, owner: Any, key: str, name: str
) -> None:
    owner.s3.create_bucket(Bucket=name)
    letter = b"letter" * 50_000
    clients.ask("put", owner, letter, bucket=name, name="letter", key=key, context=CONTEXT)
    stored = owner.s3.get_object(Bucket=name, Key="letter")
    body = stored["Body"].read()
    assert b"letter" not in body
    assert len(body) == len(letter) + 16
    asked = {"bucket": name, "name": "letter", "key": key}
    assert clients.ask("get", owner, **asked, context=CONTEXT)["data"] == letter
    reader = owner.new_user("s3-reader", allowing("s3:GetObject", on=f"arn:aws:s3:::{name}/*"))
    with pytest.raises(Refused, match="not authorized to perform: kms:Decrypt"):
        clients.ask("get", reader, **asked, context=CONTEXT)
    owner.s3.put_object(Bucket=name, Key="letter", Body=body[:-1] + bytes([body[-1] ^ 1]), Metadata=stored["Metadata"])
    with pytest.raises(Refused):
        clients.ask("get", owner, **asked, context=CONTEXT)
    owner.kms.disable_key(KeyId=key)
    with pytest.raises(Refused, match="DisabledException"):
        clients.ask("get", owner, **asked, context=CONTEXT)
