"""The compiled policies that belong to a user, group or role: what the identity side of a decision is made of.

A compiled document is kept by its text, since a text never changes its meaning: after a change in IAM, identities are
gathered anew from the records but nothing is parsed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from freehold.authorization import document
from freehold.authorization.document import Policy, PolicyType
from freehold.authorization.policy_set import of_group
from freehold.services.iam import aws_managed, records
from freehold.services.iam.records import POLICY_VERSIONS, Group, Role, User
from freehold.storage.records import Reader

NOTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
"""In place of a boundary or a managed session policy that is gone: fail closed."""


@lru_cache(maxsize=20_000)
def compiled(origin: str, text: str, type_: PolicyType = "identity") -> Policy:
    """`origin` is what an explanation calls the policy: a managed policy's ARN or an inline policy's name,
    of a group's with the group."""
    return document.parse(text, type_, origin=origin)


def managed_document(reader: Reader, arn: str) -> str | None:
    """The default version's text of a customer or AWS managed policy, None if there's none."""
    policy = records.policy_at(reader, arn)
    if policy is not None:
        version = POLICY_VERSIONS.get(reader, (policy.unique_id, policy.default_version))
        return None if version is None else version.document
    aws_policy = aws_managed.find(arn)
    return None if aws_policy is None else aws_managed.document(aws_policy)


def managed(reader: Reader, arn: str, type_: PolicyType = "identity") -> Policy:
    """The compiled managed policy; one that denies everything when it's gone."""
    return compiled(arn, managed_document(reader, arn) or NOTHING, type_)


def of(reader: Reader, entity: User | Role, managed: Callable[[str], Policy]) -> tuple[Policy, ...]:
    """All policies that give the user or role its permissions, those of the user's groups included.

    `managed` gives a compiled managed policy by its ARN (many entities have the same ones: cache behind it).
    """
    owners: list[User | Role | Group] = [entity]
    if isinstance(entity, User):
        owners.extend(groups_of(reader, entity))
    return tuple(
        policy
        for owner in owners
        for policy in (
            *(
                compiled(name if owner is entity else of_group(name, owner.name), text)
                for name, text in owner.inline.items()
            ),
            *map(managed, owner.attached),
        )
    )


def groups_of(reader: Reader, user: User) -> Iterator[Group]:
    """A user's groups in the order in which it joined them."""
    for group_id in user.group_ids:
        group = records.by_unique_id(reader, group_id)
        if isinstance(group, Group):
            yield group
