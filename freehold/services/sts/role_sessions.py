"""What every way to assume a role has in common: finding it with its trust policy, and beginning the session.

AssumeRole, web identities, SAML and services each ask the trust policy in their own way and then come here.
"""

from __future__ import annotations

from collections.abc import Mapping

from freehold import arn
from freehold.authentication.credentials import TemporaryCredential
from freehold.authorization.document import Policy
from freehold.authorization.permission import ContextValue
from freehold.authorization.principal import Principal, Session
from freehold.services.call import Call
from freehold.services.iam import policies_of, records
from freehold.services.iam.records import Role
from freehold.services.operation import Result
from freehold.services.sts import sessions
from freehold.services.sts.errors import ValidationError
from freehold.storage.records import Reader


def account_of_role(role_arn: str) -> str:
    """The account that a role's ARN names. Raises ValidationError for what is no role's ARN."""
    try:
        parsed = arn.parse(role_arn)
    except ValueError:
        raise ValidationError(f"{role_arn} is invalid") from None
    if (parsed.service, parsed.region) != ("iam", "") or not parsed.resource.startswith("role/"):
        raise ValidationError(f"{role_arn} is invalid")
    return parsed.account_id


def trusted_role(call: Call, role_arn: str) -> tuple[Role, Policy] | None:
    """The role and its compiled trust policy; None for one that doesn't exist."""

    def load(reader: Reader) -> tuple[Role, Policy]:
        role = records.role_at(reader, role_arn)
        if role is None:
            # Raised, so that names that no role has don't fill the cache.
            raise KeyError(role_arn)
        return role, policies_of.compiled(role.arn, role.trust_policy, "trust")

    try:
        return call.cached("iam", ("trusted role", role_arn), load)
    except KeyError:
        return None


def begin(
    call: Call, role: Role, session: Session, kept: Mapping[str, ContextValue] | None = None
) -> tuple[TemporaryCredential, Result]:
    """The session's credentials, and the members of the reply that all ways to assume a role have.

    `kept`: condition keys, in lower case, that the session's own requests carry. Raises PackedPolicyTooLarge.
    """
    packed = sessions.packed_size(session)
    assumed = Principal(
        "role",
        role.account_id,
        arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{session.name}",
        unique_id=f"{role.unique_id}:{session.name}",
        name=role.name,
        issuer_arn=role.arn,
        session=session,
        extra_context=dict(kept or {}),
    )
    credential = sessions.issue(call, assumed)
    call.resources.append(("AWS::IAM::Role", role.arn))
    result: Result = {
        "Credentials": sessions.shown(credential, session),
        "AssumedRoleUser": {"AssumedRoleId": assumed.unique_id, "Arn": assumed.arn},
    }
    if packed is not None:
        result["PackedPolicySize"] = packed
    if session.source_identity:
        result["SourceIdentity"] = session.source_identity
    return credential, result
