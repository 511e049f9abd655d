"""A bucket has one Region, and requests are signed for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from s3_expecting import raw

from freehold.testing import server


@pytest.fixture(scope="module")
def two_regions() -> Iterator[Any]:
    with server(regions=("us-east-1", "eu-west-1"), workers=2) as running:
        yield running


def test_a_request_signed_for_another_region_is_told_which(two_regions: Any) -> None:
    here = two_regions.new_account()
    there = here.in_region("eu-west-1")
    there.s3.create_bucket(Bucket="far-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert here.s3.list_buckets()["Buckets"][0]["BucketRegion"] == "eu-west-1"
    assert there.s3.get_bucket_location(Bucket="far-bucket")["LocationConstraint"] == "eu-west-1"
    there.s3.put_object(Bucket="far-bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert there.s3.get_object(Bucket="far-bucket", Key="k")["Body"].read() == b"x"
    status, _, body = raw(here, "GET", "/far-bucket/k")
    assert status == 400
    assert b"AuthorizationHeaderMalformed" in body
    assert b"<Region>eu-west-1</Region>" in body


def test_what_one_worker_changes_holds_at_once_in_the_other(two_regions: Any) -> None:
    account = two_regions.new_account()
    account.s3.create_bucket(Bucket="shared-bucket")
    account.s3.put_object(Bucket="shared-bucket", Key="k", Body=b"x")
    user = account.new_user("u", ALLOW_GET)
    for _ in range(5):
        account.s3.put_bucket_policy(Bucket="shared-bucket", Policy=DENY_GET)
        # Each request on a connection of its own, so that both workers answer.
        assert {raw(user, "GET", "/shared-bucket/k")[0] for _ in range(8)} == {403}
        account.s3.delete_bucket_policy(Bucket="shared-bucket")
        assert {raw(user, "GET", "/shared-bucket/k")[0] for _ in range(8)} == {200}


ALLOW_GET = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
DENY_GET = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",'
    ' "Resource": "arn:aws:s3:::shared-bucket/*"}]}'
)
