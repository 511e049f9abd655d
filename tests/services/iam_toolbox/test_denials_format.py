"""A decoder written from docs/formats/denials.md alone."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from types import SimpleNamespace
from typing import Any

import msgspec
from test_kept import ALICE, POLICY, Rows, Source

from freehold.authorization.context_keys import RequestKeys
from freehold.authorization.gather import Authorizer
from freehold.authorization.permission import Permission
from freehold.clock import Clock
from freehold.crypto.aead import Sealer
from freehold.errors import AwsError
from freehold.services.iam_toolbox.kept import DenialLog


def test_the_page_is_enough_to_read_what_is_kept() -> None:
    rows = Rows()
    log = DenialLog(rows, Clock(), bytes(32))  # type: ignore[arg-type]
    call: Any = SimpleNamespace(
        principal=ALICE,
        context=RequestKeys(1_767_225_600.0) | {"aws:sourceip": "192.0.2.1"},
        operation=SimpleNamespace(service="sts", name="AssumeRole"),
        decisions=[],
        region="eu-central-1",
        request_id="the-request",
        endpoint=None,
    )
    role = "arn:aws:iam::111122223333:role/r"
    permission = Permission("sts:AssumeRole", role, "111122223333", {"sts:externalid": "4711"}, kind="trust")
    message = ""
    try:
        Authorizer(Source(), denials=log).require(call, permission)
    except AwsError as error:
        message = error.message
    log.close()

    authorization_id, _, encoded = message.partition("authorization id: ")[2].partition(
        ". Encoded authorization failure message: "
    )
    [(_, value)] = [(key, value) for (table, key), value in rows.rows.items() if table == "iam-toolbox.denials"]
    assert ("iam-toolbox.denials", (authorization_id,)) in rows.rows
    account_id, organization_id, record = msgspec.msgpack.decode(value)
    assert (account_id, organization_id) == ("111122223333", "")
    principal, time, region, request_id, operation, _, context, policies, decisions = msgspec.msgpack.decode(record)
    assert int(authorization_id[:7], 36) == int(time)
    assert principal[:3] == ["user", "111122223333", ALICE.arn]
    assert (region, request_id, operation) == ("eu-central-1", "the-request", "sts.AssumeRole")
    assert context["aws:sourceip"] == "192.0.2.1"
    [[kind, origin, digest]] = policies
    text = str(POLICY.source)
    assert (kind, origin, digest) == ("identity", "p", hashlib.sha256(text.encode()).digest()[:16])
    assert msgspec.msgpack.decode(rows.rows["iam-toolbox.documents", (digest.hex(),)])[0] == text
    [decision] = decisions
    assert decision[:9] == ["sts:AssumeRole", role, account_id, "trust", "implicitDeny", "trust",
                            {"sts:externalid": "4711"}, [0], -1]  # fmt: skip

    sealed = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    plaintext = zlib.decompress(Sealer(bytes(32)).open(sealed, b"encoded authorization message"))
    owner, decoded = json.loads(plaintext)
    assert owner == account_id
    assert decoded["context"]["action"] == "sts:AssumeRole"
