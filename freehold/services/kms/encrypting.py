"""Encrypt, Decrypt, ReEncrypt: messages of up to 4,096 bytes under a symmetric key, or what an RSA key takes.

Under a symmetric key a message is sealed under a key of its own, derived from the backing key
(docs/formats/kms-ciphertext.md). Whatever is wrong with a ciphertext or its encryption context, the answer is
InvalidCiphertextException without a message; one of the caller's own keys in another Region is said to be that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from freehold.authorization.permission import ContextValue, Permission
from freehold.crypto import envelope
from freehold.crypto.envelope import Header, InvalidBlob
from freehold.services.kms import grant_tokens, loaded, records, rsa_encryption, states
from freehold.services.kms.admission import Prepared, may_use, off_the_loop, usable, usable_for
from freehold.services.kms.errors import (
    AwsError,
    DryRun,
    IncorrectKey,
    InvalidCiphertext,
    InvalidKeyUsage,
    KmsInternal,
    NotFound,
    ValidationException,
    key_not_found,
    not_in_this_region,
)
from freehold.services.kms.identifiers import MULTI_REGION
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.permissions import using
from freehold.services.kms.records import TOMBSTONES
from freehold.services.kms.specs import ENCRYPT_DECRYPT
from freehold.services.kms.stores import backends
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

SYMMETRIC = "SYMMETRIC_DEFAULT"


def seal(call: Call, key: LoadedKey, plaintext: bytes, context: dict[str, str] | None) -> bytes:
    """A ciphertext blob under the key's current material."""
    if key.store is not None:
        return backends.seal(call, key, plaintext, context or {})
    header = key.header
    current = key.opened(call, header.backing_key_id)
    if current is None:
        raise KmsInternal
    return envelope.seal_message(current[0], header, context or {}, plaintext)


def unseal(
    call: Call, key: LoadedKey, blob: bytes, header: Header, context: dict[str, str] | None
) -> tuple[bytes, str]:
    """(plaintext, id of the material that it was under). Raises InvalidCiphertextException."""
    if key.store is not None:
        return backends.unseal(call, key, blob, header, context or {}), ""
    version = key.opened(call, header.backing_key_id)
    if version is None or (header[:3] != key.header[:3] and not _related(key, header)):
        raise InvalidCiphertext
    try:
        return envelope.open_message(version[0], blob, context or {}), version[1]
    except InvalidBlob:
        raise InvalidCiphertext from None


def _related(key: LoadedKey, header: Header) -> bool:
    """Whether a blob that was sealed in another Region is of the same multi-Region key."""
    return bool(key.record.primary_region) and header[1:3] == key.header[1:3]


def _check_algorithm(params: Params, member: str) -> None:
    algorithm = params.get(member, SYMMETRIC)
    if algorithm != SYMMETRIC:
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {SYMMETRIC}.")


def _algorithm_asked(params: Params, member: str) -> Mapping[str, ContextValue] | None:
    """The condition key of what the request names. Symmetric keys have theirs without it."""
    return {"kms:encryptionalgorithm": params[member]} if member in params else None


def _header(blob: bytes) -> Header:
    try:
        return envelope.parse_header(blob)
    except InvalidBlob:
        raise InvalidCiphertext from None


def _not_here(call: Call, header: Header, action: str) -> AwsError:
    """The error for a blob whose key isn't in this Region: said of the caller's own keys alone."""
    if header.account_id == call.account_id and header.region != call.region:
        key = records.key_at(call.reader, header.region, header.key_id)
        if key is not None and key.account_id == call.account_id:
            return not_in_this_region(call.principal.arn, action)
    return InvalidCiphertext()


def _key_of(call: Call, header: Header, action: str) -> LoadedKey:
    """The key that a blob says it's under. Its header is believed only once the blob has opened."""
    if header.region != call.region and not header.key_id.startswith(MULTI_REGION):
        raise _not_here(call, header, action)
    key = loaded.by_id(call, header.key_id)
    if key is None:
        gone = TOMBSTONES.get(call.reader, (call.region, header.key_id))
        if gone is not None and gone.account_id == header.account_id == call.account_id:
            raise key_not_found(f"arn:aws:kms:{call.region}:{gone.account_id}:key/{header.key_id}")
        raise _not_here(call, header, action)
    if key.account_id != header.account_id:
        raise InvalidCiphertext
    return loaded.in_force(call, key)


def _source(call: Call, params: Params, member: str, action: str) -> tuple[LoadedKey, str, Header | None]:
    """The key to decrypt with, the alias that named it, and the blob's header where that had to tell."""
    blob: bytes | None = params.get("CiphertextBlob")
    modifiers = params.get("DryRunModifiers")
    if modifiers and not params.get("DryRun"):
        raise ValidationException("DryRunModifiers can be used in a dry run only.")
    if blob is None and not modifiers:
        raise ValidationException("CiphertextBlob is required.")
    named: str | None = params.get(member)
    if named is None:
        if blob is None:
            raise ValidationException(f"{member} is required when there is no CiphertextBlob.")
        try:
            header = _header(blob)
        except InvalidCiphertext:
            if params.get(f"{member[:-5]}EncryptionAlgorithm", SYMMETRIC) == SYMMETRIC:
                raise
            raise ValidationException(f"{member} is required to decrypt with an asymmetric key.") from None
        return _key_of(call, header, action), "", header
    try:
        located = loaded.locate(call, named, action)
    except NotFound:
        # A bare key id may be another account's where the ciphertext says the same.
        if blob is None or "/" in named:
            raise
        header = _header(blob)
        if header.key_id != named or header.account_id == call.account_id:
            raise
        return _key_of(call, header, action), "", header
    return located.key, located.alias, None


def _opened(call: Call, params: Params, key: LoadedKey, header: Header | None, context: str) -> tuple[bytes, str]:
    """The plaintext of the request's blob under `key`, and the id of its material."""
    blob = params["CiphertextBlob"]
    if header is None:
        header = _header(blob)
        if header[:3] != key.header[:3] and not _related(key, header):
            raise IncorrectKey
    return unseal(call, key, blob, header, params.get(context))


def _may_encrypt(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:Encrypt", _algorithm_asked(params, "EncryptionAlgorithm"))


@operation("kms.Encrypt", permissions=_may_encrypt)
def encrypt(call: Call, params: Params) -> Result:
    """Seal `Plaintext` (1-4,096 bytes) under a key, bound to `EncryptionContext` (8,192 characters at most).

    An RSA key takes 190 to 470 bytes, needs `EncryptionAlgorithm`, and binds no context.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
    """
    key: LoadedKey = call.prepared.key
    if not key.symmetric:
        return _encrypt_with_rsa(call, key, params)
    _check_algorithm(params, "EncryptionAlgorithm")
    usable(key, "Encrypt", params)
    return {
        "CiphertextBlob": seal(call, key, params["Plaintext"], params.get("EncryptionContext")),
        "KeyId": key.arn,
        "EncryptionAlgorithm": SYMMETRIC,
    }


def _encrypt_with_rsa(call: Call, key: LoadedKey, params: Params) -> Result:
    algorithm: str = params.get("EncryptionAlgorithm", SYMMETRIC)
    rsa_encryption.checked(key, "Encrypt", algorithm, params.get("EncryptionContext"))
    if params.get("DryRun"):
        raise DryRun
    ciphertext = rsa_encryption.encrypt(call, key, params["Plaintext"], algorithm)
    return {"CiphertextBlob": ciphertext, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}


def _may_decrypt(call: Call, params: Params) -> list[Permission]:
    if "GrantTokens" in params:
        grant_tokens.check(call, params["GrantTokens"])
    key, alias, header = _source(call, params, "KeyId", "kms:Decrypt")
    call.resources.append(("AWS::KMS::Key", key.arn))
    call.prepared = Prepared(key, key, header)
    if not key.symmetric:
        off_the_loop(call, key)
    more = _algorithm_asked(params, "EncryptionAlgorithm")
    return [using(call, key, alias, "kms:Decrypt", params.get("EncryptionContext"), more)]


@operation("kms.Decrypt", permissions=_may_decrypt, refuses=("Recipient",))
def decrypt(call: Call, params: Params) -> Result:
    """Open a ciphertext blob. The key is the one that it says it's under; with `KeyId`, that one or none.

    RSA's ciphertexts don't say: they need `KeyId` and `EncryptionAlgorithm`.
    The encryption context must be exactly the one of the sealing, in any order.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
    """
    key, _, header = call.prepared
    if not key.symmetric:
        return _decrypt_with_rsa(call, key, params)
    _check_algorithm(params, "EncryptionAlgorithm")
    if not key.enabled:
        states.check("Decrypt", key.record.state, key.arn)
    if "DryRunModifiers" in params:
        raise DryRun
    plaintext, material_id = _opened(call, params, key, header, "EncryptionContext")
    if params.get("DryRun"):
        raise DryRun
    result: Result = {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": SYMMETRIC}
    if material_id:
        result["KeyMaterialId"] = material_id
    return result


def _decrypt_with_rsa(call: Call, key: LoadedKey, params: Params) -> Result:
    algorithm: str = params.get("EncryptionAlgorithm", SYMMETRIC)
    rsa_encryption.checked(key, "Decrypt", algorithm, params.get("EncryptionContext"))
    if "DryRunModifiers" in params:
        raise DryRun
    plaintext = rsa_encryption.decrypt(call, key, params["CiphertextBlob"], algorithm)
    if params.get("DryRun"):
        raise DryRun
    return {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": algorithm}


def _may_reencrypt(call: Call, params: Params) -> list[Permission]:
    if "GrantTokens" in params:
        grant_tokens.check(call, params["GrantTokens"])
    source, source_alias, header = _source(call, params, "SourceKeyId", "kms:ReEncryptFrom")
    located = loaded.locate(call, params["DestinationKeyId"], "kms:ReEncryptTo")
    key = located.key
    call.resources.append(("AWS::KMS::Key", source.arn))
    call.resources.append(("AWS::KMS::Key", key.arn))
    call.prepared = Prepared(key, source, header)
    if not source.symmetric:
        off_the_loop(call, source)
    same = "true" if source.arn == key.arn else "false"
    asked = [
        {"kms:reencryptonsamekey": same, **(_algorithm_asked(params, member) or {})}
        for member in ("SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm")
    ]
    return [
        using(call, source, source_alias, "kms:ReEncryptFrom", params.get("SourceEncryptionContext"), asked[0]),
        using(call, key, located.alias, "kms:ReEncryptTo", params.get("DestinationEncryptionContext"), asked[1]),
    ]


@operation("kms.ReEncrypt", permissions=_may_reencrypt)
def reencrypt(call: Call, params: Params) -> Result:
    """Open a blob and seal what was in it under another key or context; the plaintext never leaves.

    Needs kms:ReEncryptFrom on the blob's key and kms:ReEncryptTo on the other, in whichever accounts they are.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html
    """
    key, source, header = call.prepared
    from_algorithm: str = params.get("SourceEncryptionAlgorithm", SYMMETRIC)
    to_algorithm: str = params.get("DestinationEncryptionAlgorithm", SYMMETRIC)
    _check_reencryption(source, from_algorithm, params.get("SourceEncryptionContext"))
    _check_reencryption(key, to_algorithm, params.get("DestinationEncryptionContext"))
    if "DryRunModifiers" in params:
        raise DryRun
    material_id = ""
    if source.symmetric:
        plaintext, material_id = _opened(call, params, source, header, "SourceEncryptionContext")
    else:
        plaintext = rsa_encryption.decrypt(call, source, params["CiphertextBlob"], from_algorithm)
    if params.get("DryRun"):
        raise DryRun
    result: Result = {
        "SourceKeyId": source.arn,
        "KeyId": key.arn,
        "SourceEncryptionAlgorithm": from_algorithm,
        "DestinationEncryptionAlgorithm": to_algorithm,
    }
    if material_id:
        result["SourceKeyMaterialId"] = material_id
    if key.symmetric:
        result["CiphertextBlob"] = seal(call, key, plaintext, params.get("DestinationEncryptionContext"))
        if key.store is None:
            result["DestinationKeyMaterialId"] = key.record.material_id
    else:
        result["CiphertextBlob"] = rsa_encryption.encrypt(call, key, plaintext, to_algorithm)
    return result


def _check_reencryption(key: LoadedKey, algorithm: str, context: Mapping[str, str] | None) -> None:
    if key.symmetric:
        usable_for(key, "ReEncrypt", ENCRYPT_DECRYPT, algorithm)
    else:
        rsa_encryption.checked(key, "ReEncrypt", algorithm, context)
