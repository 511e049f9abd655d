"""A policy and a request that would take seconds to compare: neither it nor its explanation keeps others waiting."""

from __future__ import annotations

import json
import re
import string
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

SIGNS = string.ascii_letters + string.digits
CONTEXT = {a + b: "" for a in SIGNS for b in SIGNS[:60]}
SECONDS = 4  # without the limits each takes seven


def test_one_request_and_its_explanation_take_no_seconds(aws: Any) -> None:
    root = {"AWS": f"arn:aws:iam::{aws.account_id}:root"}
    patterns = [f"*{number}.*" for number in range(1_900)]
    never = {"ForAnyValue:StringLike": {"kms:EncryptionContextKeys": patterns}}
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Principal": root, "Action": "kms:PutKeyPolicy", "Resource": "*"},
        {"Effect": "Allow", "Principal": root, "Action": "kms:Encrypt", "Resource": "*", "Condition": never},
    ]
    for deny in ([], [{"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}]):
        text = json.dumps({"Version": "2012-10-17", "Statement": [*deny, *statements]}, separators=(",", ":"))
        key = aws.kms.create_key(Policy=text)["KeyMetadata"]["KeyId"]
        began = time.monotonic()
        with pytest.raises(ClientError) as error:
            aws.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"
        found = re.search(r"authorization id: (\w+)", str(error.value))
        assert found
        try:
            aws.client("iam-toolbox").get_request_authorization_details(authorizationId=found[1])
        except ClientError as refused:
            assert "too long" in str(refused)  # noqa: PT017
        assert time.monotonic() - began < SECONDS
