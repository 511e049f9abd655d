"""PolicyExclusionList: policies that a simulation leaves out, by type, by ARN, or by name and owner.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyIdentifier.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from freehold.authorization import match
from freehold.authorization.policy_set import PolicySet
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.simulated import Source
from freehold.services.operation import Params

_ARN = re.compile(r"arn:aws:(iam|organizations)::(\d{12}|aws):policy/[^\s*?]*[^\s/]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exclusions:
    types: frozenset[str]
    arns: tuple[Callable[[str], bool], ...]
    inline: tuple[tuple[str, str, Callable[[str], bool]], ...]
    """(policy name, kind of the owner, test of its name)."""

    @property
    def boundaries(self) -> bool:
        return "permission-boundary" in self.types

    @property
    def scps(self) -> bool:
        return "scp" in self.types

    def identity(self, source: Source) -> bool:
        """Whether an identity-based policy of the principal is left out."""
        origin = source.policy.origin
        if origin.startswith("arn:"):
            kind = "aws-managed" if ":iam::aws:" in origin else "user-managed"
            return kind in self.types or any(test(origin) for test in self.arns)
        owner_kind, _, rest = source.source_id.partition("_")
        owner = rest.removesuffix(f"_{origin}")
        return "inline" in self.types or any(
            (origin, owner_kind) == (name, kind) and test(owner) for name, kind, test in self.inline
        )

    def without_scps(self, level: PolicySet) -> PolicySet:
        """A level of the organization without the SCPs that are named by ARN."""
        if not self.arns:
            return level
        return PolicySet(policy for policy in level.policies if not any(test(policy.origin) for test in self.arns))


def parse(params: Params) -> Exclusions:
    """Raises InvalidInput. Whatever is rightly written and matches nothing is passed over."""
    types: set[str] = set()
    arns, inline = [], []
    for identifier in params.get("PolicyExclusionList") or []:
        if len(identifier) != 1:
            raise InvalidInput(
                "A policy is identified by exactly one of PolicyType, PolicyArn, InlinePolicyIdentifier."
            )
        if "PolicyType" in identifier:
            types.add(identifier["PolicyType"])
        elif "PolicyArn" in identifier:
            arn = identifier["PolicyArn"]
            if not _ARN.fullmatch(arn) or arn.count("*") > 1:
                raise InvalidInput(f"{arn} is not the ARN of a policy with at most one * in its name.")
            arns.append(_test(arn))
        else:
            named = identifier["InlinePolicyIdentifier"]
            owner = named["AttachmentName"]
            if owner.count("*") > 1:
                raise InvalidInput(f"{owner} has more than one *.")
            inline.append((named["PolicyName"], named["AttachmentType"], _test(owner)))
    return Exclusions(frozenset(types), tuple(arns), tuple(inline))


def _test(pattern: str) -> Callable[[str], bool]:
    return match.text_test(match.parse(pattern, variables=False))
