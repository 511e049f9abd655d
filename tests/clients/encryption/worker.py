"""The AWS Encryption SDK and the Amazon S3 Encryption Client, asked by a line of JSON and answering with one.

Runs in an environment of its own (`requirements.lock`), since these clients ask for other versions than the server's.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import aws_encryption_sdk
import boto3
import botocore.session
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsDiscoveryKeyringInput,
    CreateAwsKmsEcdhKeyringInput,
    CreateAwsKmsKeyringInput,
    CreateAwsKmsMrkDiscoveryKeyringInput,
    CreateAwsKmsMrkKeyringInput,
    CreateAwsKmsRsaKeyringInput,
    CreateMultiKeyringInput,
    DiscoveryFilter,
    KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey,
    KmsPrivateKeyToStaticPublicKeyInput,
)
from aws_encryption_sdk.identifiers import CommitmentPolicy
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring

SDK = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
MATERIALS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
CACHED: dict[str, Any] = {}
"""Managers of cached materials, by the principal's access key."""


def client(service: str, who: dict[str, str], region: str = "") -> Any:
    return boto3.client(
        service,
        region_name=region or who["region"],
        endpoint_url=who["endpoint"],
        aws_access_key_id=who["access_key_id"],
        aws_secret_access_key=who["secret_access_key"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def keyring(spec: dict[str, Any], who: dict[str, str]) -> Any:
    """A keyring of the kind that `spec` says; `who` is the principal unless the keyring has one of its own."""
    who = spec.get("as", who)
    kms = client("kms", who, spec.get("region", ""))
    match spec["kind"]:
        case "kms":
            return MATERIALS.create_aws_kms_keyring(CreateAwsKmsKeyringInput(kms_key_id=spec["key"], kms_client=kms))
        case "mrk":
            return MATERIALS.create_aws_kms_mrk_keyring(
                CreateAwsKmsMrkKeyringInput(kms_key_id=spec["key"], kms_client=kms)
            )
        case "discovery":
            only = DiscoveryFilter(account_ids=spec["accounts"], partition="aws")
            return MATERIALS.create_aws_kms_discovery_keyring(
                CreateAwsKmsDiscoveryKeyringInput(kms_client=kms, discovery_filter=only)
            )
        case "mrk-discovery":
            return MATERIALS.create_aws_kms_mrk_discovery_keyring(
                CreateAwsKmsMrkDiscoveryKeyringInput(kms_client=kms, region=spec["region"])
            )
        case "rsa":
            return MATERIALS.create_aws_kms_rsa_keyring(
                CreateAwsKmsRsaKeyringInput(
                    kms_key_id=spec["key"],
                    public_key=spec["public_key"].encode(),
                    encryption_algorithm="RSAES_OAEP_SHA_256",
                    kms_client=kms,
                )
            )
        case "ecdh":
            scheme = KmsPrivateKeyToStaticPublicKeyInput(
                sender_kms_identifier=spec["key"], recipient_public_key=base64.b64decode(spec["recipient"])
            )
            return MATERIALS.create_aws_kms_ecdh_keyring(
                CreateAwsKmsEcdhKeyringInput(
                    kms_client=kms,
                    curve_spec="ECC_NIST_P256",
                    key_agreement_scheme=KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(scheme),
                )
            )
        case "multi":
            first, *others = [keyring(each, who) for each in spec["of"]]
            return MATERIALS.create_multi_keyring(CreateMultiKeyringInput(generator=first, child_keyrings=others))
    raise ValueError(spec)


def encrypt(asked: dict[str, Any]) -> dict[str, Any]:
    sealed, header = SDK.encrypt(
        source=base64.b64decode(asked["data"]),
        keyring=keyring(asked["keyring"], asked["who"]),
        encryption_context=asked["context"],
        **({"algorithm": aws_encryption_sdk.Algorithm[asked["algorithm"]]} if "algorithm" in asked else {}),
    )
    return {"data": base64.b64encode(sealed).decode(), "suite": header.algorithm.name, "edks": _count(header)}


def decrypt(asked: dict[str, Any]) -> dict[str, Any]:
    plaintext, header = SDK.decrypt(
        source=base64.b64decode(asked["data"]),
        keyring=keyring(asked["keyring"], asked["who"]),
        encryption_context=asked["context"],
    )
    return {"data": base64.b64encode(plaintext).decode(), "suite": header.algorithm.name, "edks": _count(header)}


def _count(header: Any) -> int:
    return len(header.encrypted_data_keys)


def cached(asked: dict[str, Any]) -> dict[str, Any]:
    """Encrypt and decrypt with data keys that are used for ten messages."""
    who = asked["who"]
    manager = CACHED.get(who["access_key_id"])
    if manager is None:
        session = botocore.session.Session()
        session.set_credentials(who["access_key_id"], who["secret_access_key"])
        provider = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(
            botocore_session=session, key_ids=[asked["key"]], region_names=[who["region"]]
        )
        manager = CACHED[who["access_key_id"]] = aws_encryption_sdk.CachingCryptoMaterialsManager(
            master_key_provider=provider,
            cache=aws_encryption_sdk.LocalCryptoMaterialsCache(10),
            max_age=600.0,
            max_messages_encrypted=10,
        )
    data = base64.b64decode(asked["data"])
    for _ in range(asked["times"]):
        sealed, _ = SDK.encrypt(source=data, materials_manager=manager, encryption_context=asked["context"])
        opened, _ = SDK.decrypt(source=sealed, materials_manager=manager)
        if opened != data:
            raise AssertionError("another plaintext")
    return {}


def _s3(asked: dict[str, Any]) -> Any:
    who = asked["who"]
    return S3EncryptionClient(
        client("s3", who), S3EncryptionClientConfig(keyring=KmsKeyring(client("kms", who), asked["key"]))
    )


def put(asked: dict[str, Any]) -> dict[str, Any]:
    context = {"EncryptionContext": asked["context"]} if asked["context"] else {}
    _s3(asked).put_object(Bucket=asked["bucket"], Key=asked["name"], Body=base64.b64decode(asked["data"]), **context)
    return {}


def get(asked: dict[str, Any]) -> dict[str, Any]:
    context = {"EncryptionContext": asked["context"]} if asked["context"] else {}
    answer = _s3(asked).get_object(Bucket=asked["bucket"], Key=asked["name"], **context)
    return {"data": base64.b64encode(answer["Body"].read()).decode()}


WORK = {"encrypt": encrypt, "decrypt": decrypt, "cached": cached, "put": put, "get": get}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = WORK[asked["do"]](asked)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {_told(error)}"}
        print(json.dumps(answer), flush=True)


def _told(error: BaseException) -> str:
    """What the error says, with what the errors that it gathers or comes from say."""
    causes = [*getattr(error, "list", ()), error.__cause__ or error.__context__]
    return " / ".join([str(error), *(_told(each) for each in causes if isinstance(each, BaseException))])


if __name__ == "__main__":
    main()
