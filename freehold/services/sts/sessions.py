"""What a caller may pass into a session: session policies, session tags, source identity. And the session's issue.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

from freehold.authentication.credentials import TemporaryCredential, TokenTooLarge
from freehold.authorization import document
from freehold.authorization.document import MalformedPolicy
from freehold.authorization.principal import Principal, Session
from freehold.services.call import Call
from freehold.services.iam.attachments import is_attachable
from freehold.services.operation import Params
from freehold.services.sts.errors import (
    AccessDenied,
    InvalidParameterValue,
    MalformedPolicyDocument,
    PackedPolicyTooLarge,
    ValidationError,
)
from freehold.storage.records import Reader

MOST_POLICY_CHARACTERS = 2048
MOST_POLICY_ARNS = 10
MOST_TAGS = 50
_MOST_PACKED_BYTES = 2048
"""Policies, ARNs and tags are compressed for this limit, of which PackedPolicySize tells the percentage."""

Tags = tuple[tuple[str, str], ...]


def refuse_session_credentials(call: Call) -> None:
    """For what long-term credentials alone may do."""
    if call.principal.session is not None:
        raise AccessDenied(f"Cannot call {call.operation.name} with session credentials")


def passed_policies(reader: Reader, account_id: str, params: Params) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The inline session policies (None when no policy at all was passed) and the ARNs of the managed ones.

    Managed policies are those of `account_id` or AWS's. Raises MalformedPolicyDocument, ValidationError,
    PackedPolicyTooLarge.
    """
    inline = params.get("Policy")
    arns = tuple(given.get("arn", "") for given in params.get("PolicyArns") or ())
    if inline is None and not arns:
        return None, ()
    if inline is not None:
        try:
            document.parse(inline, "session")
        except MalformedPolicy as error:
            raise MalformedPolicyDocument(error.message) from None
    if len(arns) > MOST_POLICY_ARNS:
        raise ValidationError(
            f"1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have "
            f"length less than or equal to {MOST_POLICY_ARNS}"
        )
    for arn in arns:
        if not is_attachable(reader, account_id, arn):
            raise ValidationError(f"Policy {arn} does not exist or is not attachable.")
    characters = len(inline or "") + sum(map(len, arns))
    if characters > MOST_POLICY_CHARACTERS:
        _refuse_packed(-(-100 * characters // MOST_POLICY_CHARACTERS))
    return (inline,) if inline is not None else (), arns


def passed_tags(params: Params) -> Tags:
    """The session tags of the request. Keys are unique without regard to case."""
    tags = tuple((tag["Key"], tag["Value"]) for tag in params.get("Tags") or ())
    keys = [key.lower() for key, _ in tags]
    if len(set(keys)) != len(keys):
        raise InvalidParameterValue("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in keys):
        raise InvalidParameterValue("Session tag keys cannot begin with aws:, which is reserved.")
    return tags


def inherited_tags(principal: Principal) -> Tags:
    """The tags that the calling session passes on along a chain of roles."""
    session = principal.session
    if session is None or not session.transitive_tag_keys:
        return ()
    passed_on = {key.lower() for key in session.transitive_tag_keys}
    return tuple((key, value) for key, value in session.tags if key.lower() in passed_on)


def transitive_keys(params: Params, tags: Tags, inherited: Tags) -> tuple[str, ...]:
    """All keys that go on to further sessions. An inherited tag can't be given another value."""
    own, held = {key.lower() for key, _ in tags}, {key.lower() for key, _ in inherited}
    if own & held:
        raise InvalidParameterValue(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session."
        )
    keys = tuple(params.get("TransitiveTagKeys") or ())
    if not own >= {key.lower() for key in keys}:
        raise InvalidParameterValue("The specified transitive tag key must be included in the requested tags.")
    return (*keys, *(key for key, _ in inherited))


def tag_context(tags: Tags) -> dict[str, Any]:
    """`aws:RequestTag/…` and `aws:TagKeys`."""
    if not tags:
        return {}
    context: dict[str, Any] = {f"aws:requesttag/{key.lower()}": value for key, value in tags}
    context["aws:tagkeys"] = tuple(key for key, _ in tags)
    return context


def packed_size(session: Session) -> int | None:
    """The percentage of the packed limit that policies and tags take, None without any. Raises when over it."""
    if session.policies is None and not session.tags:
        return None
    parts = (*(session.policies or ()), *session.policy_arns, *(text for tag in session.tags for text in tag))
    percent = -(-100 * len(zlib.compress("\x00".join(parts).encode(), 9)) // _MOST_PACKED_BYTES)
    if percent > 100:
        _refuse_packed(percent)
    return percent


def _refuse_packed(percent: int) -> None:
    raise PackedPolicyTooLarge(f"Packed policy consumes {percent}% of allotted space, please use smaller policy.")


def issue(call: Call, principal: Principal) -> TemporaryCredential:
    """Seal the session into a token, of MinimumSessionTokenSize bytes (0 to 4,096) at least."""
    least = call.params.get("MinimumSessionTokenSize") or 0
    try:
        return call.app.tokens.issue(principal, least_characters=least)
    except TokenTooLarge as error:
        raise PackedPolicyTooLarge(
            f"Packed policy consumes {error.percent}% of allotted space, please use smaller policy."
        ) from None


def shown(credential: TemporaryCredential, session: Session) -> dict[str, Any]:
    """The `Credentials` member of the reply."""
    return {
        "AccessKeyId": credential.access_key_id,
        "SecretAccessKey": credential.secret.reveal(),
        "SessionToken": credential.token,
        "Expiration": datetime.fromtimestamp(session.expires_at, UTC),
    }
