"""The process that speaks to a PKCS#11 token: reads one request from its standard input, answers, and ends.

Refuses a key that the token would give away. Errors are told by their kind: their texts are the vendor's.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import msgspec

from freehold.custody import memory
from freehold.custody.errors import CustodyError
from freehold.custody.pkcs11 import ASSOCIATED, Answer, Request, named

_NONCE_BYTES: Final = 12
_MOST_REQUEST_BYTES: Final = 65_536


def main() -> None:
    memory.protect()
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(_MOST_REQUEST_BYTES), type=Request)
        answer = _answered(request)
    except CustodyError as error:
        answer = Answer(problem=str(error))
    except ModuleNotFoundError as error:
        answer = Answer(problem=f"custody pkcs11 needs the Python package {error.name}, which is not installed")
    except Exception as error:
        answer = Answer(problem=f"the token failed: {type(error).__name__}")
    sys.stdout.buffer.write(msgspec.json.encode(answer))


def _answered(request: Request) -> Answer:
    import pkcs11

    uri = named(request.token)
    try:
        library = pkcs11.lib(str(uri.module))
    except (OSError, RuntimeError):
        raise CustodyError(f"the PKCS#11 library {uri.module} cannot be loaded") from None
    tokens = [slot.get_token() for slot in library.get_slots(token_present=True)]
    found = [token for token in tokens if _is_named(token, uri)]
    if len(found) != 1:
        raise CustodyError(f"one token {uri.token or uri.serial} is needed, and the library shows {len(found)}")
    try:
        with found[0].open(rw=request.create, user_pin=request.pin) as session:
            if request.create:
                _make(session, request.key)
            if request.unwrap:
                return Answer(request.mechanism, _unwrapped(session, request))
            return _wrapped(session, request)
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        raise CustodyError("the token refuses this PIN") from None
    except pkcs11.PinLocked:
        raise CustodyError("the token's PIN is locked after too many wrong ones") from None


def _is_named(token: Any, uri: Any) -> bool:
    serial = token.serial.decode("ascii", "replace") if isinstance(token.serial, bytes) else str(token.serial)
    shown = (token.label, serial, token.manufacturer_id or "", token.model or "")
    wanted = (uri.token, uri.serial, uri.manufacturer, uri.model)
    return all(not want or want == show.strip() for want, show in zip(wanted, shown, strict=True))


def _make(session: Any, label: str) -> None:
    from pkcs11 import Attribute, KeyType, ObjectClass

    if list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label})):
        raise CustodyError(f"the token has a key {label} already")
    template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
    session.generate_key(KeyType.AES, 256, label=label, store=True, template=template)


def _key(session: Any, label: str) -> Any:
    """The AES key of this label, or the private RSA key. Raises CustodyError for one that can leave the token."""
    from pkcs11 import Attribute, KeyType, ObjectClass

    for kind, key_type in ((ObjectClass.SECRET_KEY, KeyType.AES), (ObjectClass.PRIVATE_KEY, KeyType.RSA)):
        wanted = {Attribute.CLASS: kind, Attribute.KEY_TYPE: key_type, Attribute.LABEL: label}
        found = list(session.get_objects(wanted))
        if len(found) > 1:
            raise CustodyError(f"the token has more than one key {label}")
        if found:
            if found[0][Attribute.EXTRACTABLE] or not found[0][Attribute.SENSITIVE]:
                raise CustodyError(f"the key {label} can be taken out of the token; use one that cannot")
            return found[0]
    raise CustodyError(f"the token has no AES or RSA key {label}")


def _wrapped(session: Any, request: Request) -> Answer:
    import pkcs11
    from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

    key = _key(session, request.key)
    if key.key_type == KeyType.AES:
        nonce = os.urandom(_NONCE_BYTES)
        parameters = GCMParams(nonce, ASSOCIATED + request.deployment.encode(), 128)
        content = key.encrypt(request.wrap, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        return Answer("AES_GCM", nonce + bytes(content))
    wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.KEY_TYPE: KeyType.RSA, Attribute.LABEL: request.key}
    public = list(session.get_objects(wanted))
    if len(public) != 1:
        raise CustodyError(f"the token has no one public key {request.key} beside the private one")
    # SHA-1 is no weakness in OAEP, and all that some tokens have.
    for name in ("RSA_OAEP_SHA256", "RSA_OAEP_SHA1"):
        try:
            sealed = public[0].encrypt(request.wrap, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_oaep(name))
            content = bytes(sealed)
            key.decrypt(content, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_oaep(name))
        except (pkcs11.ArgumentsBad, pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid):
            continue
        return Answer(name, content)
    raise CustodyError("the token has no RSA-OAEP")


def _unwrapped(session: Any, request: Request) -> bytes:
    import pkcs11
    from pkcs11 import GCMParams, KeyType, Mechanism

    key = _key(session, request.key)
    mechanism: Any = Mechanism.RSA_PKCS_OAEP
    content = request.unwrap
    parameters: Any = None
    if request.mechanism == "AES_GCM" and key.key_type == KeyType.AES:
        mechanism = Mechanism.AES_GCM
        parameters = GCMParams(content[:_NONCE_BYTES], ASSOCIATED + request.deployment.encode(), 128)
        content = content[_NONCE_BYTES:]
    elif request.mechanism in ("RSA_OAEP_SHA256", "RSA_OAEP_SHA1") and key.key_type == KeyType.RSA:
        parameters = _oaep(request.mechanism)
    else:
        raise CustodyError(f"the custody file's mechanism {request.mechanism} is not one for the key {request.key}")
    try:
        return bytes(key.decrypt(content, mechanism=mechanism, mechanism_param=parameters))
    except (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange, pkcs11.GeneralError, pkcs11.FunctionFailed):
        raise CustodyError(f"the token's key {request.key} does not unwrap the root key: is it another one?") from None


def _oaep(name: str) -> tuple[Any, Any, None]:
    from pkcs11 import MGF, Mechanism

    return (Mechanism.SHA256, MGF.SHA256, None) if name == "RSA_OAEP_SHA256" else (Mechanism.SHA_1, MGF.SHA1, None)


if __name__ == "__main__":
    main()
