"""Every condition key that AWS lists for an operation of KMS decides there: an allow and a deny that hang on it.

The operations ask with their own permission functions for a request that gives everything it can
(`driven_operations`), and what they ask for is decided under a key policy, or the caller's own policy where no key is
concerned, of one statement with one condition.
https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import condition_keys_page as tables
import pytest
from driven_operations import BY_ALIAS, VARIANTS, World

from freehold.authorization import document
from freehold.authorization.context_keys import Context, of_principal, of_request
from freehold.authorization.permission import Permission
from freehold.authorization.principal_element import caller
from freehold.errors import AwsError
from freehold.services.call import Call
from freehold.services.operation import REGISTRY

OPERATORS = {"String": "StringEquals", "ARN": "ArnEquals", "Bool": "Bool", "ArrayOfString": "ForAnyValue:StringEquals",
             "Numeric": "NumericEquals", "Date": "NumericEquals"}  # fmt: skip
"""Type of a key in the reference -> what compares it. `kms:ValidTo` is a number, whatever the reference calls it."""
NOBODY_CALLS = {"SynchronizeMultiRegionKey"}
"""What KMS does by itself, and no request."""


def _calls(world: World) -> Iterator[tuple[Call, Permission]]:
    """What each operation of KMS asks for: by key and by alias, directly and through a service."""
    for name, operation in sorted(REGISTRY.items()):
        if operation.service != "kms":
            continue
        for more in VARIANTS.get(name, BY_ALIAS):
            for via in ((), ("s3",)):
                params = world.parameters(operation, more)
                made = world.call(name, params)
                context = of_request(made.request, region="us-east-1", now_seconds=0.0, via=via)
                call = Call(
                    world.app, made.request, operation, world.user, "us-east-1", "request", context, via=via
                )  # fmt: skip
                call.params = params
                try:
                    for permission in operation.permissions(call, params):
                        yield call, permission
                except AwsError:
                    continue  # takes no alias


def _value(call: Call, permission: Permission, key: str) -> Any:
    context = Context(permission.context, call.context, of_principal(caller(call.principal)))
    return context[key.lower()]


def _other(value: str) -> str:
    return {"true": "false", "false": "true"}.get(value) or ("4321" if value.isdigit() else "something-else")


def _decided(world: World, call: Call, permission: Permission, statements: list[dict[str, Any]]) -> str:
    """The result under a policy that says these alone, in the place where policies count for the permission."""
    if permission.kind == "key":
        principal = {"Principal": {"AWS": world.user.arn}}
        text = json.dumps({"Version": "2012-10-17", "Statement": [{**one, **principal} for one in statements]})
        return call.may(replace(permission, resource_policy=document.parse(text, "key"), grants=())).result
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    world.do("iam.PutUserPolicy", UserName="alice", PolicyName="only", PolicyDocument=text)
    return call.may(permission).result


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


def test_an_allow_and_a_deny_hang_on_every_key_that_aws_lists_for_an_operation(world: World) -> None:
    reference = tables.REFERENCE["kms"]
    wanted = {
        (action, key)
        for action, row in reference["actions"].items()
        if action not in NOBODY_CALLS
        for key in tables.wanted("kms", row)
        if tables.why_not_given(tables.without_placeholder(key)) is None
    }
    decided: set[tuple[str, str]] = set()
    for call, permission in _calls(world):
        action = permission.action.partition(":")[2]
        everything = {"Effect": "Allow", "Action": permission.action, "Resource": "*"}
        for key in sorted(key for of, key in wanted if of == action):
            name = tables.without_placeholder(key)
            if name[-1] in ":/":
                given = [one for one in (*permission.context, *call.context) if one.startswith(name.lower())]
                if not given:
                    continue
                name = given[0]
            found = _value(call, permission, name)
            if found is None or (action, key) in decided:
                continue
            operator = OPERATORS[reference["conditions"][key]]
            values = [found] if isinstance(found, str) else list(found)

            def condition(value: str, operator: str = operator, name: str = name) -> dict[str, Any]:
                return {"Condition": {operator: {name: value}}}

            case = f"{name} of {permission.action}"
            for value in values:
                assert _decided(world, call, permission, [everything | condition(value)]) == "allow", case
                deny = {**everything, "Effect": "Deny"} | condition(value)
                assert _decided(world, call, permission, [everything, deny]) == "explicitDeny", case
            other = condition(_other(values[0]))
            assert _decided(world, call, permission, [everything | other]) == "implicitDeny", case
            deny = {**everything, "Effect": "Deny"} | other
            assert _decided(world, call, permission, [everything, deny]) == "allow", case
            decided.add((action, key))
    lacking = {
        (action, key)
        for action, key in wanted - decided
        if tables.why_not_here(f"kms:{action}", tables.without_placeholder(key)) is None
    }
    assert not lacking, sorted(lacking)
    assert len(decided) > 500
