"""Whatever a proxy answers with, it is taken as the specification has it or it is a StoreProblem: nothing else."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.crypto.store_envelope import Outer
from freehold.services.kms.stores import xks
from freehold.services.kms.stores.errors import StoreProblem

PLAINTEXT, DATA = bytes(64), bytes(32)
NAMES = st.sampled_from(
    [
        *("ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag", "plaintext"),
        *("ciphertextDataIntegrityValue", "keySpec", "keyUsage", "keyStatus", "ekmFleetDetails", "xksProxyFleetSize"),
        *("xksProxyVendor", "xksProxyModel", "ekmVendor", "id", "model", "healthStatus"),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.binary(max_size=70).map(lambda value: base64.b64encode(value).decode()),
    st.sampled_from(["AES_256", "ENABLED", "ACTIVE", "UNAVAILABLE", "ENCRYPT", "DECRYPT"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=12), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
ANSWERS = st.dictionaries(NAMES, VALUES, max_size=8)


class Answering:
    """A client whose proxy always says this."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        return self.answer


@given(ANSWERS)
def test_no_answer_is_anything_but_right_or_a_problem(answer: dict[str, Any]) -> None:
    client: Any = Answering(answer)
    outer = Outer(PLAINTEXT, bytes(12), bytes(16))
    for ask in (
        lambda: xks.check_health(client, "KmsHealthCheck", "r"),
        lambda: xks.check_key(client, "key", {}),
        lambda: xks.encrypt(client, "key", {}, PLAINTEXT, DATA),
        lambda: xks.decrypt(client, "key", {}, outer, DATA),
    ):
        with suppress(StoreProblem):
            ask()


def right() -> dict[str, Any]:
    vector, tag, metadata = bytes(12), bytes(16), b"v1"
    whole = DATA + metadata + vector + PLAINTEXT + tag
    shown = {
        "ciphertext": PLAINTEXT,
        "ciphertextMetadata": metadata,
        "initializationVector": vector,
        "authenticationTag": tag,
        "ciphertextDataIntegrityValue": hashlib.sha256(whole).digest(),
    }
    return {name: base64.b64encode(value).decode() for name, value in shown.items()}


def test_the_specifications_own_example_of_an_integrity_value_agrees() -> None:
    """https://github.com/aws/aws-kms-xksproxy-api-spec, Appendix C"""
    answer: Any = {
        "authenticationTag": "vBxN2ncH1oEkR8WVXpmyYQ==",
        "ciphertext": "ghxkK1txeDNn3q8Y",
        "ciphertextDataIntegrityValue": "qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc=",
        "ciphertextMetadata": "a2V5X3ZlcnNpb249MQ==",
        "initializationVector": "HMrlRw85cAJUd5Ax",
    }
    client: Any = Answering(answer)
    made = xks.encrypt(client, "key", {}, b"Hello World!", b"project=nile,department=marketing")
    assert made.metadata == b"key_version=1"


@pytest.mark.parametrize("member", list(right()))
def test_each_member_is_covered_by_the_integrity_value(member: str) -> None:
    answer = right()
    client: Any = Answering(answer)
    xks.encrypt(client, "key", {}, PLAINTEXT, DATA)
    value = bytearray(base64.b64decode(answer[member]))
    value[0] ^= 1
    answer[member] = base64.b64encode(bytes(value)).decode()
    with pytest.raises(StoreProblem, match="malformed"):
        xks.encrypt(client, "key", {}, PLAINTEXT, DATA)
