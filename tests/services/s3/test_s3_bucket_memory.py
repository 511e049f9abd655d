"""What a worker keeps of buckets is limited by what they take, however large their policies are."""

from __future__ import annotations

import json

from freehold.services.s3.access import Bucket
from freehold.services.s3.records import BucketRecord


def test_a_bucket_with_a_large_policy_weighs_more() -> None:
    values = [f"{number}*" for number in range(1_500)]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b",
                 "Condition": {"StringLike": {"aws:username": values}}}  # fmt: skip
    plain, large = (BucketRecord("i", "111122223333", "us-east-1", 0) for _ in range(2))
    large.policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert Bucket("b", plain).cache_weight == 1
    assert Bucket("b", large).cache_weight > 100
