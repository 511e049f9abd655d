"""Keys that people send, as they might be sent by those who mean harm: none is taken that isn't exactly a key."""

from __future__ import annotations

import os
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from freehold.services.kms.specs import SPECS, InvalidMaterial

EC_OID, P256_OID, P384_OID = (
    bytes.fromhex(text) for text in ("06072a8648ce3d0201", "06082a8648ce3d030107", "06052b81040022")
)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = bytes.fromhex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
G = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes((number.bit_length() + 8) // 8, "big"))


def curve(generator: bytes = G, order: int = N, b: bytes = B) -> bytes:
    """P-256 by its parameters instead of by its name."""
    field = tlv(0x30, bytes.fromhex("06072a8648ce3d0101") + integer(P))
    a = tlv(4, (P - 3).to_bytes(32, "big"))
    return tlv(0x30, integer(1) + field + tlv(0x30, a + tlv(4, b)) + tlv(4, generator) + integer(order) + integer(1))


def ec_key(scalar: bytes, parameters: bytes = P256_OID, public: bytes = b"", inner: bytes = b"") -> bytes:
    attached = tlv(0xA1, tlv(3, b"\0" + public)) if public else b""
    sec1 = tlv(0x30, integer(1) + tlv(4, scalar) + (tlv(0xA0, inner) if inner else b"") + attached)
    return tlv(0x30, integer(0) + tlv(0x30, EC_OID + parameters) + tlv(4, sec1))


def der(key: object) -> bytes:
    made: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
    return made


KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
SCALAR = KEY.private_numbers().private_value.to_bytes(32, "big")
POINT, ANOTHER = (k.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for k in (KEY, OTHER))
SEED = os.urandom(32)
MLDSA = bytes.fromhex("0609608648016503040311")
FOREIGN = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()

HARMFUL: dict[str, tuple[str, bytes]] = {
    "what follows the key": ("ECC_NIST_P256", der(KEY) + b"\0"),
    "much that follows it": ("ECC_NIST_P256", der(KEY) + b"x" * 4000),
    "another's public key": ("ECC_NIST_P256", ec_key(SCALAR, public=ANOTHER)),
    "a point that isn't on the curve": ("ECC_NIST_P256", ec_key(SCALAR, public=POINT[:-1] + bytes((POINT[-1] ^ 1,)))),
    "the point at infinity": ("ECC_NIST_P256", ec_key(SCALAR, public=b"\0")),
    "zero": ("ECC_NIST_P256", ec_key(bytes(32))),
    "the order": ("ECC_NIST_P256", ec_key(N.to_bytes(32, "big"))),
    "more than the order": ("ECC_NIST_P256", ec_key((N + 5).to_bytes(32, "big"))),
    "a scalar that is too long": ("ECC_NIST_P256", ec_key(bytes(100) + SCALAR)),
    "a scalar that is too short": ("ECC_NIST_P256", ec_key(SCALAR[:5])),
    "a curve of one's own generator": ("ECC_NIST_P256", ec_key(SCALAR, curve(generator=POINT), POINT)),
    "a curve of one's own equation": ("ECC_NIST_P256", ec_key(SCALAR, curve(b=B[:-1] + b"x"), POINT)),
    "a curve of a small order": ("ECC_NIST_P256", ec_key(SCALAR, curve(order=7), POINT)),
    "two curves": ("ECC_NIST_P256", ec_key(SCALAR, inner=P384_OID)),
    "Ed25519 with another's public key": (
        "ECC_NIST_EDWARDS25519",
        tlv(
            0x30,
            integer(1) + tlv(0x30, bytes.fromhex("06032b6570")) + tlv(4, tlv(4, SEED)) + tlv(0x81, b"\0" + FOREIGN),
        ),
    ),
    "ML-DSA whose expanded key isn't its seed's": (
        "ML_DSA_44",
        tlv(0x30, integer(0) + tlv(0x30, MLDSA) + tlv(4, tlv(0x30, tlv(4, SEED) + tlv(4, os.urandom(2560))))),
    ),
    "ML-DSA without its seed": (
        "ML_DSA_44",
        tlv(0x30, integer(0) + tlv(0x30, MLDSA) + tlv(4, tlv(4, os.urandom(2560)))),
    ),
    "ML-DSA of another size": ("ML_DSA_44", der(mldsa.MLDSA65PrivateKey.generate())),
}


@pytest.mark.parametrize("what", HARMFUL)
def test_what_only_looks_like_a_key_is_refused_at_once(what: str) -> None:
    spec, raw = HARMFUL[what]
    began = time.process_time()
    with pytest.raises(InvalidMaterial):
        SPECS[spec].accept(raw)
    assert time.process_time() - began < 0.1


def test_a_curve_by_its_parameters_is_kept_by_its_name() -> None:
    assert SPECS["ECC_NIST_P256"].accept(ec_key(SCALAR, curve())) == SPECS["ECC_NIST_P256"].accept(der(KEY))


GARBAGE = (b"", b"0", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\xff", b"\x30" * 6000, b"\x30\x80" * 3000,
           tlv(0x30, integer(0) + tlv(0x30, b"")), tlv(0x30, integer(2**40_000)),
           tlv(0x30, tlv(4, bytes(6000))))  # fmt: skip


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.asymmetric])
def test_garbage_is_no_key_of_any_spec(name: str) -> None:
    for raw in (*GARBAGE, os.urandom(64), os.urandom(6144)):
        with pytest.raises(InvalidMaterial):
            SPECS[name].accept(raw)
