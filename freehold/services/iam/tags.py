"""Tags of users, roles, managed policies and instance profiles: at most 50, keys unique without regard to case.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam import entities, pages, records
from freehold.services.iam.authorized import iam, on_entity, on_policy, request_tags, untagged_keys
from freehold.services.iam.entities import KINDS, Kind
from freehold.services.iam.errors import InvalidInput, LimitExceeded, NoSuchEntity, UnmodifiableEntity
from freehold.services.iam.records import Group, ManagedPolicy, Role, User
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

MOST_TAGS = 50


def checked_tags(present: dict[str, str], new: list[dict[str, str]]) -> dict[str, str]:
    """`present` with `new` over it. A key that differs in case only replaces the one that is there."""
    keys = [tag["Key"].lower() for tag in new]
    if len(set(keys)) != len(keys):
        raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for tag in new:
        if tag["Key"].lower().startswith("aws:"):
            raise InvalidInput(f"The tag key {tag['Key']} is reserved: keys cannot begin with aws:.")
    kept = {key: value for key, value in present.items() if key.lower() not in keys}
    tags = kept | {tag["Key"]: tag["Value"] for tag in new}
    if len(tags) > MOST_TAGS:
        raise LimitExceeded(f"The number of tags has reached the maximum limit of {MOST_TAGS}.")
    return tags


def without(present: dict[str, str], keys: list[str]) -> dict[str, str]:
    gone = {key.lower() for key in keys}
    return {key: value for key, value in present.items() if key.lower() not in gone}


def page(params: Params, tags: dict[str, str]) -> Result:
    return pages.page_of_texts(params, "Tags", tags, lambda key: {"Key": key, "Value": tags[key]})


def _declare(kind: Kind) -> None:
    tag, untag, list_ = f"Tag{kind.noun}", f"Untag{kind.noun}", f"List{kind.noun}Tags"

    def target(reader: Reader, call: Call, params: Params) -> User | Role:
        entity = entities.require(reader, kind.kind, call.account_id, params[kind.member])
        assert not isinstance(entity, Group)
        return entity

    @iam(tag, on_entity(tag, kind.kind, request_tags), writes=True)
    def add(call: Call, params: Params) -> None:
        """Add tags, or other values for keys that are there."""
        entity = target(call.tx, call, params)
        entity.tags = checked_tags(entity.tags, params["Tags"])
        records.save(call.tx, entity)
        call.resources.append((kind.cloudformation_type, entity.arn))

    @iam(untag, on_entity(untag, kind.kind, untagged_keys), writes=True)
    def remove(call: Call, params: Params) -> None:
        """Take tags away; keys that aren't there are passed over."""
        entity = target(call.tx, call, params)
        entity.tags = without(entity.tags, params["TagKeys"])
        records.save(call.tx, entity)
        call.resources.append((kind.cloudformation_type, entity.arn))

    @iam(list_, on_entity(list_, kind.kind))
    def list_tags(call: Call, params: Params) -> Result:
        """The tags, by key."""
        return page(params, target(call.reader, call, params).tags)


_declare(KINDS["user"])
_declare(KINDS["role"])


def _policy(reader: Reader, arn: str) -> ManagedPolicy:
    policy = records.policy_at(reader, arn)
    if policy is None:
        if ":iam::aws:" in arn:
            raise UnmodifiableEntity("AWS managed policies have no tags.")
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


@iam("TagPolicy", on_policy("TagPolicy", request_tags), writes=True)
def tag_policy(call: Call, params: Params) -> None:
    """Add tags to a customer managed policy."""
    policy = _policy(call.tx, params["PolicyArn"])
    policy.tags = checked_tags(policy.tags, params["Tags"])
    records.save(call.tx, policy)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))


@iam("UntagPolicy", on_policy("UntagPolicy", untagged_keys), writes=True)
def untag_policy(call: Call, params: Params) -> None:
    """Take tags away from a customer managed policy."""
    policy = _policy(call.tx, params["PolicyArn"])
    policy.tags = without(policy.tags, params["TagKeys"])
    records.save(call.tx, policy)
    call.resources.append(("AWS::IAM::ManagedPolicy", policy.arn))


@iam("ListPolicyTags", on_policy("ListPolicyTags"))
def list_policy_tags(call: Call, params: Params) -> Result:
    """The tags of a customer managed policy, by key."""
    return page(params, _policy(call.reader, params["PolicyArn"]).tags)
