"""Key policies: the texts that keys begin with, and compiled policies.

A key policy is the root of trust of its key: nobody may use the key, not even the account's root user, unless it
allows that or delegates to the account.
https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from freehold.authorization import document
from freehold.authorization.document import Policy

NAME: Final = "default"
MOST_BYTES: Final = 32 * 1024


@lru_cache(maxsize=4096)
def compiled(text: str) -> Policy:
    """A stored key policy, compiled. Kept by its text: keys with the same policy share it, and no change of another
    key makes this parse again."""
    return document.parse(text, "key")


def default_policy(account_id: str) -> str:
    """What a key gets when CreateKey brings no policy: the account's IAM policies decide."""
    return _text(
        "key-default-1",
        {
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
    )


def aws_managed_policy(service: str, display: str, via: str, region: str, account_id: str) -> str:
    """The policy of `alias/aws/{service}`: everyone in the account, but only through the service `via`."""
    return _text(
        f"auto-{service}-2",
        {
            "Sid": f"Allow access through {display} for all principals in the account that are authorized to use "
            f"{display}",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:CreateGrant",
                "kms:DescribeKey",
            ],
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "kms:CallerAccount": account_id,
                    "kms:ViaService": f"{via}.{region}.amazonaws.com",
                }
            },
        },
        {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*",
        },
    )


def _text(policy_id: str, *statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": policy_id, "Statement": list(statements)}, indent=2)
