"""What `aws iam get-account-authorization-details` prints, as the records of an account: a plan, without a store.

Keeps names, paths, unique ids, dates, tags, documents with their versions, attachments, boundaries, groups, instance
profiles. What can't be kept is left out or kept differently, and noted: nothing is guessed. Passwords, access keys and
MFA devices are not in what AWS prints. Refuses (`CannotImport`) what is no such output, or names several accounts.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from freehold.services.iam.importing import entities, policies, trust
from freehold.services.iam.importing.parts import ARN, Parts
from freehold.services.iam.importing.plan import CannotImport, IsTaken, Note, Plan, Raw

SECTIONS: Final = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
MOST_ENTITIES: Final = 50_000


def plan(
    details: Raw,
    *,
    now: int,
    is_taken: IsTaken,
    bound_elsewhere: Callable[[str], str | None],
    has_account: Callable[[str], bool],
) -> Plan:
    """The plan for one account's details. Raises CannotImport.

    `bound_elsewhere`: the unique id of another imported account's user or role by its ARN, None where there is none.
    `has_account`: whether an account is in this deployment.
    """
    sections = {name: _section(details, name) for name in SECTIONS}
    if sum(map(len, sections.values())) > MOST_ENTITIES:
        raise CannotImport(f"There are more than {MOST_ENTITIES:,} users, groups, roles and policies.")
    made = Plan(_account_of(sections))
    parts = Parts(made, now, is_taken)
    for raw in sections["Policies"]:
        policies.policy(parts, raw)
    groups = {group.name: group for raw in sections["GroupDetailList"] if (group := entities.group(parts, raw))}
    for raw in sections["UserDetailList"]:
        entities.user(parts, raw, groups)
    roles = [(role, raw) for raw in sections["RoleDetailList"] if (role := entities.role(parts, raw))]
    trust.bind(parts, bound_elsewhere, has_account)
    for role, raw in roles:
        entities.profiles(parts, role, raw)
    return made


def _section(details: Raw, name: str) -> list[Raw]:
    if not isinstance(details, Mapping):
        raise CannotImport("This is no output of get-account-authorization-details: it is not an object.")
    found = details.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise CannotImport(f"This is no output of get-account-authorization-details: {name} is not a list of objects.")
    return found


def _account_of(sections: Mapping[str, list[Raw]]) -> str:
    """The one account that all ARNs name."""
    accounts = set()
    for section in sections.values():
        for raw in section:
            found = ARN.fullmatch(str(raw.get("Arn", "")))
            if found is not None and found[1] != "aws":
                raise CannotImport(f"The partition {found[1]} is not served; only arn:aws: is.")
            if found is not None and found[2] != "aws":
                accounts.add(found[2])
    if len(accounts) != 1:
        named = ", ".join(sorted(accounts)[:5]) or "none"
        raise CannotImport(f"The users, groups, roles and policies must be of one account; their ARNs name {named}.")
    return accounts.pop()


__all__ = ["CannotImport", "Note", "Plan", "plan"]
