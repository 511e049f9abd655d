"""What one authorization decision costs in process, in microseconds: `python -m bench.decision`.

The principal has managed policies of five statements with two conditions each. `spread`: each statement is about its
own actions, as policies usually are. `crowded`: every statement is about the action that is asked for. `warm`: the
request's context was seen before, as it is for a client that goes on working. `new context`: the source address was
never seen, so every condition is evaluated. `new object`: the resource was never seen.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

from freehold.authorization import document
from freehold.authorization.context_keys import RequestKeys
from freehold.authorization.gather import Authorizer, IdentityPolicies
from freehold.authorization.permission import Permission
from freehold.authorization.principal import Principal

ACCOUNT = "111122223333"
ROUNDS = 3000
ALICE = Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE1234567890", "alice")


class Source:
    def __init__(self, policies: IdentityPolicies) -> None:
        self.policies = policies

    def identity(self, principal: Principal) -> IdentityPolicies:
        return self.policies


def policy(number: int, last: int, *, crowded: bool) -> document.Policy:
    text = policy_text(number, last, crowded=crowded)
    return document.parse(text, "identity", origin=f"arn:aws:iam::{ACCOUNT}:policy/p{number}")


def policy_text(number: int, last: int, *, crowded: bool) -> dict[str, Any]:
    """The last statement of the last policy allows; one in five denies somewhere else."""
    statements = []
    for index in range(5):
        allows = number == last and index == 4
        asked = ["s3:GetObject", "s3:PutObject"]
        statements.append(
            {
                "Sid": f"S{index}",
                "Effect": "Deny" if index == 0 else "Allow",
                "Action": asked if crowded or allows else [f"svc{index}:Do{number}", f"svc{index}:Get*"],
                "Resource": [f"arn:aws:s3:::other-{number}-{index}/*", "arn:aws:s3:::bucket/*"],
                "Condition": {
                    "IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "10.0.0.0/8"]},
                    "StringEquals": {"aws:RequestedRegion": "us-east-1" if allows else f"region-{number}-{index}"},
                },
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def measure(authorizer: Authorizer, address: Callable[[int], str], name: Callable[[int], str]) -> list[float]:
    spent = []
    for number in range(ROUNDS):
        keys = RequestKeys(1.0)
        keys.update(
            {
                "aws:sourceip": address(number),
                "aws:requestedregion": "us-east-1",
                "aws:securetransport": "true",
                "aws:useragent": "bench",
                "aws:viaawsservice": "false",
            }
        )
        permission = Permission("s3:GetObject", f"arn:aws:s3:::bucket/{name(number)}", ACCOUNT, {"s3:authtype": "h"})
        start = time.perf_counter()
        decision = authorizer.decide_for(ALICE, keys, permission)
        spent.append((time.perf_counter() - start) * 1e6)
        assert decision.allowed
    return spent


def fresh_address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


REQUESTS: dict[str, tuple[Any, Any]] = {
    "warm": (lambda number: "10.1.2.3", lambda number: f"key-{number % 100}"),
    "new object": (lambda number: "10.1.2.3", lambda number: f"key-{number}"),
    "new context": (fresh_address, lambda number: f"key-{number}"),
}


def main() -> None:
    print(f"{'policies':>8} {'statements':>10}  {'actions':8} {'request':12} {'median us':>9} {'p99 us':>8}")
    for count, crowded in itertools.product((10, 40), (False, True)):
        policies = tuple(policy(number, count - 1, crowded=crowded) for number in range(count))
        for label, (address, name) in REQUESTS.items():
            spent = measure(Authorizer(Source(IdentityPolicies(policies))), address, name)
            print(
                f"{count:8} {count * 5:10}  {'crowded' if crowded else 'spread':8} {label:12} "
                f"{statistics.median(spent):9.1f} {statistics.quantiles(spent, n=100)[98]:8.1f}"
            )


if __name__ == "__main__":
    main()
