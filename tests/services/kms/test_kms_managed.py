"""AWS managed keys are made once, at first use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms.managed import aws_managed_arn, ensure_aws_managed


def test_however_many_first_uses_at_a_time_make_one_key(kms: Any) -> None:
    assert aws_managed_arn(kms.call("Encrypt"), "s3") is None

    async def first_uses() -> list[str]:
        return await asyncio.gather(*(ensure_aws_managed(kms.call("Encrypt"), "s3") for _ in range(8)))

    arns = set(asyncio.run(first_uses()))
    assert len(arns) == 1
    assert aws_managed_arn(kms.call("Encrypt"), "s3") in arns
    assert [entry["KeyArn"] for entry in kms("ListKeys")["Keys"]] == list(arns)
    assert [event["eventName"] for event in kms.events] == ["CreateKey"]
    (alias,) = kms("ListAliases")["Aliases"]
    assert alias["AliasName"] == "alias/aws/s3"


def test_it_is_of_the_account_that_is_named(kms: Any) -> None:
    other = kms.new_account()
    arn = asyncio.run(ensure_aws_managed(kms.call("Encrypt"), "s3", account_id=other.account_id))
    assert arn.split(":")[4] == other.account_id
    assert kms("Encrypt", as_=other, via=("s3",), KeyId=arn, Plaintext=b"text")["KeyId"] == arn
    with pytest.raises(AwsError) as refused:
        kms("Encrypt", via=("s3",), KeyId=arn, Plaintext=b"text")
    assert refused.value.code == "AccessDeniedException"


def test_another_service_cannot_use_it(kms: Any) -> None:
    arn = asyncio.run(ensure_aws_managed(kms.call("Encrypt"), "s3"))
    for via in ((), ("dynamodb",), ("s3", "dynamodb")):
        with pytest.raises(AwsError) as refused:
            kms("GenerateDataKey", via=via, KeyId=arn, KeySpec="AES_256")
        assert refused.value.code == "AccessDeniedException"
    assert kms("GenerateDataKey", via=("s3",), KeyId=arn, KeySpec="AES_256")["KeyId"] == arn


def test_it_rotates_every_year_without_being_asked(kms: Any) -> None:
    arn = asyncio.run(ensure_aws_managed(kms.call("Encrypt"), "s3"))
    assert kms("GetKeyRotationStatus", KeyId=arn)["RotationPeriodInDays"] == 365
    kms.app.clock.advance(366 * 86_400)
    kms.sweep()
    assert [one["RotationType"] for one in kms("ListKeyRotations", KeyId=arn)["Rotations"]] == ["AUTOMATIC"]


def test_an_unknown_service_has_none(kms: Any) -> None:
    with pytest.raises(KeyError):
        asyncio.run(ensure_aws_managed(kms.call("Encrypt"), "nonsense"))
