"""Grants: permissions to use one key, given to one principal apart from its policy; they only ever allow.

A grant holds from the next request on, and until it is retired or revoked. Who may create grants only because of a
grant passes on no more than that grant gives. Principals are bound when the grant is made: one that is deleted and
recreated under its name has no part in it.
https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import ContextValue, Permission
from freehold.services.iam import principals, service_principals
from freehold.services.kms import grant_tokens, identifiers, loaded, records, specs, states
from freehold.services.kms.errors import (
    DryRun,
    InvalidArn,
    LimitExceeded,
    ValidationException,
)
from freehold.services.kms.permissions import add_encryption_context, find, managing, request_context
from freehold.services.kms.records import (
    COUNTS,
    GRANTS,
    GRANTS_OF_GRANTEE,
    GRANTS_TO_RETIRE,
    NAMED_GRANTS,
    Counts,
    Grant,
    Key,
    Mark,
    Reference,
)
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.storage.records import Reader, Transaction

MOST_PER_KEY: Final = 50_000
MOST_OF_A_GRANTEE: Final = 500
"""All of a grantee's grants on a key are looked at in each of its requests, on the event loop that everybody shares."""
MOST_PAIRS: Final = 8
MOST_VALUE_CHARACTERS: Final = 384

OPERATIONS: Final = {
    specs.ENCRYPT_DECRYPT: ("Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"),
    specs.SIGN_VERIFY: ("Sign", "Verify"),
    specs.GENERATE_VERIFY_MAC: ("GenerateMac", "VerifyMac"),
    specs.KEY_AGREEMENT: ("DeriveSharedSecret",),
    specs.ENCAPSULATE_DECAPSULATE: ("Decapsulate", "Encapsulate"),
}
"""Usage -> what a grant on a key for it may permit, besides what the next three say."""
ON_EVERY_KEY: Final = ("CreateGrant", "DescribeKey", "RetireGrant")
ON_SYMMETRIC_KEYS: Final = (
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
)
ON_ASYMMETRIC_KEYS: Final = ("GetPublicKey",)


def permitted(spec: str, usage: str) -> tuple[str, ...]:
    """What a grant on a key of this spec and usage may permit: what the key can do.

    https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-grant-operations
    """
    more: tuple[str, ...] = ON_ASYMMETRIC_KEYS if specs.of(spec).asymmetric else ()
    if spec == specs.SYMMETRIC:
        more = ON_SYMMETRIC_KEYS
    return (*OPERATIONS[usage], *ON_EVERY_KEY, *more)


def bound(reader: Reader, arn: str) -> str:
    """A grant's principal as it is kept. Raises InvalidArnException for one that doesn't exist.

    Account numbers and unique ids, which policies take too, are none: whoever is limited by `kms:GranteePrincipal` to
    some ARNs, or kept from some, must not have a second name for the same principal.
    """
    policy = json.dumps({"Statement": [{"Principal": {"AWS": arn}}]})
    try:
        if not arn.startswith("arn:"):
            raise principals.InvalidPrincipal("AWS", arn)
        kept: str = json.loads(principals.to_unique_ids(reader, policy))["Statement"][0]["Principal"]["AWS"]
    except principals.InvalidPrincipal:
        raise InvalidArn(f"ARN does not refer to a valid principal: {arn}") from None
    return kept


def shown(reader: Reader, kept: str) -> str:
    """A grant's principal as clients see it."""
    policy = json.dumps({"Statement": [{"Principal": {"AWS": kept}}]})
    arn: str = json.loads(principals.to_arns(reader, policy))["Statement"][0]["Principal"]["AWS"]
    return arn


def _check(params: Params) -> None:
    if ("GranteePrincipal" in params) == ("GranteeServicePrincipal" in params):
        raise ValidationException("Specify either GranteePrincipal or GranteeServicePrincipal.")
    if "RetiringPrincipal" in params and "RetiringServicePrincipal" in params:
        raise ValidationException("Specify RetiringPrincipal or RetiringServicePrincipal, not both.")
    if not params["Operations"]:
        raise ValidationException("A grant needs at least one operation.")
    constraints = params.get("Constraints", {})
    if "GranteeServicePrincipal" in params:
        # A service acts for everybody: without the resource that it acts for, it could be had to use anybody's key.
        if "SourceArn" not in constraints:
            raise ValidationException("A grant to a service principal needs a SourceArn constraint.")
        if "RetiringPrincipal" not in params and "RetiringServicePrincipal" not in params:
            raise ValidationException(
                "A grant to a service principal needs a RetiringPrincipal or RetiringServicePrincipal."
            )
    for name in ("GranteeServicePrincipal", "RetiringServicePrincipal"):
        if name in params and not service_principals.exists(params[name]):
            raise ValidationException(f"{params[name]} is not a service principal.")
    if "EncryptionContextSubset" in constraints and "EncryptionContextEquals" in constraints:
        raise ValidationException("Specify EncryptionContextSubset or EncryptionContextEquals, not both.")
    for pairs in (constraints.get("EncryptionContextSubset"), constraints.get("EncryptionContextEquals")):
        if pairs is None:
            continue
        if len(pairs) > MOST_PAIRS:
            raise ValidationException(f"An encryption context constraint has at most {MOST_PAIRS} pairs.")
        if any(len(value) > MOST_VALUE_CHARACTERS for value in pairs.values()):
            raise ValidationException(f"A constraint's values have at most {MOST_VALUE_CHARACTERS} characters.")


def _check_for(key: Key, params: Params) -> None:
    """Raise ValidationException for a grant of what the key can't do."""
    able = permitted(key.spec, key.usage)
    for name in params["Operations"]:
        if name not in able:
            raise ValidationException(
                f"The operation {name} is not valid for a key with the key spec {key.spec} and the usage {key.usage}."
            )
    constraints = params.get("Constraints", {})
    if key.spec != specs.SYMMETRIC and (
        "EncryptionContextSubset" in constraints or "EncryptionContextEquals" in constraints
    ):
        raise ValidationException("An encryption context constraint is valid for symmetric encryption keys only.")


def passes_on(grant: Grant, params: Params) -> bool:
    """Whether a grant that permits CreateGrant permits making this one: no more operations, constraints as strict.

    https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html#grant-creategrant
    """
    if not set(params["Operations"]) <= set(grant.operations):
        return False
    new = params.get("Constraints", {})
    if grant.source_arn and new.get("SourceArn") != grant.source_arn:
        return False
    equals: Mapping[str, str] | None = new.get("EncryptionContextEquals")
    subset: Mapping[str, str] | None = new.get("EncryptionContextSubset")
    if grant.context_equals is not None:
        return equals == grant.context_equals
    if grant.context_subset:
        pairs = equals if equals is not None else subset
        return pairs is not None and grant.context_subset.items() <= pairs.items()
    return True


def add_constraint(
    context: dict[str, ContextValue], equals: Mapping[str, str] | None, subset: Mapping[str, str] | None
) -> None:
    """`kms:GrantConstraintType` of a grant, and its pairs as `kms:EncryptionContext:…`."""
    for kind, pairs in (("EncryptionContextEquals", equals), ("EncryptionContextSubset", subset)):
        if pairs is not None:
            context["kms:grantconstrainttype"] = kind
            add_encryption_context(context, pairs)


def _may_create(call: Call, params: Params) -> list[Permission]:
    if "GrantTokens" in params:
        grant_tokens.check(call, params["GrantTokens"])
    _check(params)
    key, _ = find(call, params["KeyId"], "kms:CreateGrant", aliases=False, foreign=True)
    context = request_context(key)
    context["kms:grantoperations"] = tuple(params["Operations"])
    context["kms:grantisforawsresource"] = "true" if call.via else "false"
    for name in ("GranteePrincipal", "RetiringPrincipal", "GranteeServicePrincipal", "RetiringServicePrincipal"):
        if name in params:
            context[f"kms:{name.lower()}"] = params[name]
    constraints = params.get("Constraints", {})
    if "SourceArn" in constraints:
        context["kms:grantconstraintsourcearn"] = constraints["SourceArn"]
    add_constraint(context, constraints.get("EncryptionContextEquals"), constraints.get("EncryptionContextSubset"))
    permission = managing(call, key, "kms:CreateGrant", context)
    if permission.grants:
        able = {grant.grant_id for grant, _ in key.grants_for(call) if passes_on(grant, params)}
        permission.grants = tuple(grant for grant in permission.grants if grant.grant_id in able)
    return [permission]


@operation("kms.CreateGrant", permissions=_may_create, writes=True)
def create_grant(call: Call, params: Params) -> Result:
    """Let a principal use a key: 50,000 grants per key, 500 of one grantee.

    Constraints on the encryption context have up to 8 pairs, whose values have 384 characters at most.

    The same request with the same `Name` gives the same grant again; without a name it makes another.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:CreateGrant", foreign=True)
    states.check("CreateGrant", key.state, key.arn)
    _check_for(key, params)
    reader = call.reader
    constraints = params.get("Constraints", {})
    grant = Grant(
        grant_id=identifiers.new_grant_id(),
        key_id=key.key_id,
        account_id=key.account_id,
        region=key.region,
        created_at=round(call.app.clock.now_seconds(), 3),
        issuing_account=call.account_id,
        operations=list(dict.fromkeys(params["Operations"])),
        grantee=bound(reader, params["GranteePrincipal"]) if "GranteePrincipal" in params else "",
        retiring=bound(reader, params["RetiringPrincipal"]) if "RetiringPrincipal" in params else "",
        grantee_service=params.get("GranteeServicePrincipal", ""),
        retiring_service=params.get("RetiringServicePrincipal", ""),
        name=params.get("Name", ""),
        context_subset=constraints.get("EncryptionContextSubset"),
        context_equals=constraints.get("EncryptionContextEquals"),
        source_arn=constraints.get("SourceArn", ""),
    )
    if params.get("DryRun"):
        raise DryRun
    place = (key.region, key.key_id, _digest(grant))
    if grant.name:
        known = NAMED_GRANTS.get(call.tx, place)
        same = None if known is None else GRANTS.get(call.tx, (key.region, key.key_id, known.grant_id))
        if same is not None:
            return {"GrantToken": grant_tokens.issue(call.app, same), "GrantId": same.grant_id}
    counts = COUNTS.get(call.tx, (key.region, key.key_id)) or Counts()
    if counts.grants >= MOST_PER_KEY:
        raise LimitExceeded(f"{key.arn} has {MOST_PER_KEY} grants, which is the limit.")
    of_grantee = call.tx.scan(GRANTS_OF_GRANTEE.name, _of_grantee(grant)[:-1], limit=MOST_OF_A_GRANTEE)
    if sum(1 for _ in of_grantee) >= MOST_OF_A_GRANTEE:
        raise LimitExceeded(f"{key.arn} has {MOST_OF_A_GRANTEE} grants to this grantee, which is the limit.")
    records.recount(call.tx, key, grants=1)
    GRANTS.put(call.tx, (key.region, key.key_id, grant.grant_id), grant)
    GRANTS_OF_GRANTEE.put(call.tx, _of_grantee(grant), Mark())
    if grant.name:
        NAMED_GRANTS.put(call.tx, place, Reference(grant_id=grant.grant_id))
    retiring = grant.retiring or grant.retiring_service
    if retiring:
        GRANTS_TO_RETIRE.put(call.tx, (retiring, key.region, key.key_id, grant.grant_id), Mark())
    return {"GrantToken": grant_tokens.issue(call.app, grant), "GrantId": grant.grant_id}


def _of_grantee(grant: Grant) -> tuple[str, ...]:
    return grant.region, grant.key_id, grant.grantee or grant.grantee_service, grant.grant_id


def _digest(grant: Grant) -> str:
    """All that makes two requests the same."""
    same = [
        grant.issuing_account,
        sorted(grant.operations),
        grant.grantee,
        grant.retiring,
        grant.grantee_service,
        grant.retiring_service,
        grant.name,
        grant.context_subset,
        grant.context_equals,
        grant.source_arn,
    ]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def remove(tx: Transaction, grant: Grant) -> None:
    """Delete a grant with all that points at it."""
    GRANTS.delete(tx, (grant.region, grant.key_id, grant.grant_id))
    GRANTS_OF_GRANTEE.delete(tx, _of_grantee(grant))
    if grant.name:
        NAMED_GRANTS.delete(tx, (grant.region, grant.key_id, _digest(grant)))
    retiring = grant.retiring or grant.retiring_service
    if retiring:
        GRANTS_TO_RETIRE.delete(tx, (retiring, grant.region, grant.key_id, grant.grant_id))
    key = records.key_at(tx, grant.region, grant.key_id)
    if key is not None:
        records.recount(tx, key, grants=-1)
