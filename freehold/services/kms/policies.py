"""Key policies: the texts that keys begin with, and compiled policies.

A key policy is the root of trust of its key: nobody may use the key, not even the account's root user, unless it
allows that or delegates to the account.
https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
"""

from __future__ import annotations

import json
import threading
from typing import Any, Final

from freehold.authorization import document
from freehold.authorization.document import Policy
from freehold.authorization.keeping import compiled_bytes

NAME: Final = "default"
MOST_BYTES: Final = 32 * 1024
MOST_COMPILED_BYTES: Final = 256 * 1024 * 1024
"""Of all compiled key policies that a worker keeps."""


class Compiled:
    """Compiled policies by their text: keys with the same policy share one, and no change of a key parses it again.

    What is kept is limited by what it takes: 32 KiB of text may become two megabytes, and an account has 100,000 keys.
    """

    def __init__(self, most_bytes: int = MOST_COMPILED_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: dict[str, Policy] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def __call__(self, text: str) -> Policy:
        """A stored key policy, compiled. Raises MalformedPolicy. From any thread."""
        held = self._held.get(text)
        if held is not None:
            return held
        policy = document.parse(text, "key")
        takes = compiled_bytes(text)
        with self._lock:
            if self._bytes + takes > self._most_bytes:
                self._held, self._bytes = {}, 0
            self._held[text] = policy
            self._bytes += takes
        return policy


compiled: Final = Compiled()


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
