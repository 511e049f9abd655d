"""What AWS's two pages on evaluating service and resource control policies tell, on the trees that they draw.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_evaluation.html
"""

from __future__ import annotations

from typing import Any

import pytest
from test_worked_cases import ALLOW, EXPLICIT, IMPLICIT, by, case, doc, st

from freehold.authorization import run_cases

GUIDE = "https://docs.aws.amazon.com/organizations/latest/userguide/"
SCPS, RCPS = GUIDE + "orgs_manage_policies_scps_evaluation.html", GUIDE + "orgs_manage_policies_rcps_evaluation.html"
ACCOUNT, OTHER = "123456789012", "222222222222"
S3, EC2 = ("s3:GetObject", "arn:aws:s3:::b/a"), ("ec2:RunInstances", "*")
FULL, RCP_FULL = doc(st()), doc(by("*"))
NO_S3, NO_EC2 = doc(st("Deny", "s3:*")), doc(st("Deny", "ec2:*"))
ONLY_S3, ONLY_EC2 = doc(st(action="s3:*")), doc(st(action="ec2:*"))
NOBODY = doc(by("*", "Deny", "s3:*"))


def user(account: str) -> str:
    return f"arn:aws:iam::{account}:user/u"


def scps(claim: str, *levels: list[Any], s3: str, ec2: str) -> list[Any]:
    """An administrator of an account under these levels, who asks S3 and EC2."""
    return [
        case(
            SCPS,
            f"{claim} {name}",
            expect,
            user(ACCOUNT),
            action,
            on,
            account=ACCOUNT,
            identity=[FULL],
            scps=list(levels),
        )
        for name, expect, (action, on) in (("s3", s3, S3), ("ec2", ec2, EC2))
    ]


# Root, Production OU, Account B.
ALLOWING = [
    *scps("allowed at every level", [FULL], [FULL], [FULL], s3=ALLOW, ec2=ALLOW),
    *scps("an allow missing in the unit", [FULL], [ONLY_EC2], [FULL], s3=IMPLICIT, ec2=ALLOW),
    *scps("an allow missing in the root", [ONLY_EC2], [FULL], [FULL], s3=IMPLICIT, ec2=ALLOW),
    *scps("an allow missing in the account", [FULL], [FULL], [ONLY_EC2], s3=IMPLICIT, ec2=ALLOW),
    *scps("nothing attached in the unit", [FULL], [], [FULL], s3=IMPLICIT, ec2=IMPLICIT),
]
DENYING = [
    *scps("denied in the unit", [FULL], [FULL, NO_S3], [FULL], s3=EXPLICIT, ec2=ALLOW),
    *scps("denied in the root", [FULL, NO_S3], [FULL], [FULL], s3=EXPLICIT, ec2=ALLOW),
    *scps("denied in the account", [FULL], [FULL], [FULL, NO_S3], s3=EXPLICIT, ec2=ALLOW),
    *scps("a deny alone allows nothing", [FULL], [NO_S3], [FULL], s3=EXPLICIT, ec2=IMPLICIT),
    *scps("an allow beside it doesn't help", [FULL], [ONLY_S3, NO_S3, FULL], [FULL], s3=EXPLICIT, ec2=ALLOW),
    *scps("an allow below it doesn't help", [FULL, NO_S3], [FULL], [ONLY_S3], s3=EXPLICIT, ec2=IMPLICIT),
]
# Root; Sandbox OU; Workloads OU with Test OU in it: deny lists, then allow lists, then both.
STRATEGIES = [
    *scps("deny lists, sandbox", [FULL], [FULL, NO_S3], [FULL], s3=EXPLICIT, ec2=ALLOW),
    *scps("deny lists, workloads", [FULL], [FULL, NO_EC2], [FULL], s3=ALLOW, ec2=EXPLICIT),
    *scps("deny lists, test", [FULL], [FULL, NO_EC2], [FULL, NO_S3], [FULL], s3=EXPLICIT, ec2=EXPLICIT),
    *scps("allow lists, sandbox", [FULL], [ONLY_S3], [FULL], s3=ALLOW, ec2=IMPLICIT),
    *scps("allow lists, workloads", [FULL], [ONLY_EC2], [FULL], s3=IMPLICIT, ec2=ALLOW),
    *scps("allow lists, test", [FULL], [ONLY_EC2], [ONLY_S3], [FULL], s3=IMPLICIT, ec2=IMPLICIT),
    *scps("both, sandbox", [FULL, NO_S3], [ONLY_S3], [FULL], s3=EXPLICIT, ec2=IMPLICIT),
    *scps("both, test", [FULL, NO_S3], [FULL], [ONLY_EC2], [FULL], s3=EXPLICIT, ec2=ALLOW),
]


def rcps(claim: str, expect: str, *levels: list[Any], principal: str = ACCOUNT, resource: Any = None) -> Any:
    policies = {"identity": [FULL], "rcps": list(levels)}
    return case(RCPS, claim, expect, user(principal), *S3, account=ACCOUNT, resource=resource, **policies)


OF_OTHERS = doc(by({"AWS": OTHER}))
RESOURCES = [
    rcps("full access alone changes nothing", ALLOW, [RCP_FULL], [RCP_FULL], [RCP_FULL]),
    rcps("full access grants nothing", IMPLICIT, [RCP_FULL], [RCP_FULL], [RCP_FULL], principal=OTHER),
    rcps("denied in the root", EXPLICIT, [RCP_FULL, NOBODY], [RCP_FULL], [RCP_FULL]),
    rcps("denied in the unit", EXPLICIT, [RCP_FULL], [RCP_FULL, NOBODY], [RCP_FULL]),
    rcps("denied in the account", EXPLICIT, [RCP_FULL], [RCP_FULL], [RCP_FULL, NOBODY]),
    rcps("denied to others too", EXPLICIT, [RCP_FULL], [RCP_FULL, NOBODY], principal=OTHER, resource=OF_OTHERS),
    rcps("allowed to others", ALLOW, [RCP_FULL], [RCP_FULL], principal=OTHER, resource=OF_OTHERS),
]


@pytest.mark.parametrize("one", [*ALLOWING, *DENYING, *STRATEGIES, *RESOURCES])
def test_the_outcome_on_the_trees_that_the_pages_draw(one: dict[str, Any]) -> None:
    [result] = run_cases([one])
    assert result.got == one["expect"], f"{result.why}\n{one['source']}"
