"""Policy documents on their way in: validated before they are kept, and measured as AWS measures them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import re

from freehold.authorization import document
from freehold.authorization.document import MalformedPolicy, Policy
from freehold.services.iam import shared_issuers
from freehold.services.iam.entities import Kind, Named
from freehold.services.iam.errors import LimitExceeded, MalformedPolicyDocument, quota
from freehold.services.iam.principals import InvalidPrincipal, to_unique_ids
from freehold.storage.records import Reader

MOST_MANAGED_CHARACTERS = 6144
MOST_TRUST_CHARACTERS = 2048

_FEDERATED = re.compile(
    r"arn:aws:iam::[0-9]{12}:(?:oidc-provider/[^\s*?]{1,255}|saml-provider/[\w.-]{1,128})"
    r"|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    re.ASCII | re.IGNORECASE,
)


def size(text: str) -> int:
    """Characters without whitespace, which is what IAM's limits count."""
    return sum(map(len, text.split()))


def check_managed(text: str) -> None:
    """A managed policy's document. Raises MalformedPolicyDocument, LimitExceeded."""
    _parse(text, "identity", newest=True)
    if size(text) > MOST_MANAGED_CHARACTERS:
        raise quota("PolicySize", MOST_MANAGED_CHARACTERS)


def check_inline(text: str, kind: Kind, owner: Named, policy_name: str) -> None:
    """An inline document: the limit is on all of the owner's inline policies together."""
    _parse(text, "identity")
    others = sum(size(other) for name, other in owner.inline.items() if name != policy_name)
    if others + size(text) > kind.most_inline_characters:
        raise LimitExceeded(
            f"Maximum policy size of {kind.most_inline_characters} bytes exceeded for {kind.kind} {owner.name}"
        )


def bound_trust_policy(reader: Reader, account_id: str, text: str) -> str:
    """The trust policy of an account's role as it is kept. Raises MalformedPolicyDocument for one that names who
    doesn't exist, or trusts everybody who uses a shared identity provider."""
    policy = _parse(text, "trust")
    _check_federated(policy, account_id)
    shared_issuers.check(policy)
    if size(text) > MOST_TRUST_CHARACTERS:
        raise quota("ACLSizePerRole", MOST_TRUST_CHARACTERS)
    try:
        return to_unique_ids(reader, text)
    except InvalidPrincipal as error:
        raise MalformedPolicyDocument(str(error)) from None


def _check_federated(policy: Policy, account_id: str) -> None:
    """Refuse identity providers that can't be, and those of another account, which could never be asked.

    One of the account that doesn't exist may be named: providers aren't bound to roles, and one that is deleted leaves
    the roles that trust it as they are.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteOpenIDConnectProvider.html
    """
    for statement in policy.statements:
        for name in statement.principal.federated if statement.principal is not None else ():
            if name != "*" and not _FEDERATED.fullmatch(name):
                raise MalformedPolicyDocument("Federated principals must be valid domain names or SAML metadata ARNs")
            if name.startswith("arn:") and name.split(":", 5)[4] != account_id:
                raise MalformedPolicyDocument(str(InvalidPrincipal("FEDERATED", name)))


def _parse(text: str, type_: document.PolicyType, *, newest: bool = False) -> Policy:
    try:
        return document.parse(text, type_, newest_version_only=newest)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None
