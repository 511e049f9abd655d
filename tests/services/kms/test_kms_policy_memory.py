"""However many keys with however large policies an account uses, what a worker keeps of them is limited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.authorization.document import MalformedPolicy
from freehold.authorization.keeping import compiled_bytes
from freehold.errors import AwsError
from freehold.services.kms import loaded, policies
from freehold.services.kms.policies import Compiled


def text_of(account_id: str, number: int, action: str) -> str:
    """A policy of some kilobytes, of which there is only one."""
    values = [f"{number}-{value}*" for value in range(200)]
    condition = {"StringNotLike": {"aws:username": values}}
    principal = {"AWS": f"arn:aws:iam::{account_id}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_compiled_policies_are_kept_up_to_what_they_take() -> None:
    texts = [text_of("111122223333", number, "kms:*") for number in range(20)]
    kept = Compiled(4 * compiled_bytes(texts[0]) + compiled_bytes(texts[0]) // 2)
    seen = []
    for text in texts:
        policy = kept(text)
        assert kept(str(text)) is policy
        seen.append(len(kept))
    assert max(seen) == 4
    with pytest.raises(MalformedPolicy):
        kept("{")
    assert len(kept) <= 4


def test_a_policy_takes_no_more_than_is_reckoned_and_the_largest_still_fits_often() -> None:
    largest = "[" + ",".join('""' for _ in range(policies.MOST_BYTES // 3)) + "]"
    assert len(largest) <= policies.MOST_BYTES
    assert compiled_bytes(largest) * 30 < policies.MOST_COMPILED_BYTES


def test_keys_keep_no_policies_and_each_is_decided_by_its_own(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = kms.account.account_id
    texts = [text_of(account_id, number, "kms:*" if number % 2 else "kms:PutKeyPolicy") for number in range(12)]
    monkeypatch.setattr(policies, "compiled", Compiled(3 * compiled_bytes(texts[0])))
    keys = [kms("CreateKey", Policy=text)["KeyMetadata"]["KeyId"] for text in texts]
    for _ in range(2):
        for number, key_id in enumerate(keys):
            if number % 2:
                kms("Encrypt", KeyId=key_id, Plaintext=b"x")
            else:
                with pytest.raises(AwsError) as error:
                    kms("Encrypt", KeyId=key_id, Plaintext=b"x")
                assert error.value.code == "AccessDeniedException"
            assert len(policies.compiled) <= 3


def test_a_key_with_long_texts_weighs_more(kms: Any, key_id: str) -> None:
    """An account has 100,000 keys: what is kept of each must be as small as most are, or count as several."""
    long = {"Policy": text_of(kms.account.account_id, 1, "kms:*"), "Description": "x" * 8192}
    tags = [{"TagKey": f"{number:0128}", "TagValue": "x" * 256} for number in range(50)]
    heavy = kms("CreateKey", **long, Tags=tags)["KeyMetadata"]["KeyId"]
    weights = [loaded.by_id(kms.call("DescribeKey"), one).cache_weight for one in (key_id, heavy)]
    assert weights[0] == 1
    assert weights[1] > 20
