"""Identity providers that everybody may use: a role must not trust all of their users.

A new or changed trust policy that lets users of such a provider in has to ask for the claim that tells one customer of
the provider from another, as on AWS; policies that were written before aren't asked.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html
"""

from __future__ import annotations

from typing import Final

from freehold.authorization.document import Policy
from freehold.services.iam.errors import MalformedPolicyDocument

_ACTION: Final = "sts:assumerolewithwebidentity"

CLAIMS: Final[dict[str, tuple[str, ...]]] = {
    "agent.buildkite.com": ("sub",),
    "api.pulumi.com/oidc": ("aud",),
    "app.terraform.io": ("sub",),
    "cognito-identity.amazonaws.com": ("aud",),
    "gitlab.com": ("sub",),
    "oidc-configuration.audit-log.githubusercontent.com": ("sub",),
    "oidc.codefresh.io": ("sub",),
    "oidc.vercel.com": ("aud",),
    "proidc.upbound.io": ("sub",),
    "sandboxes.cloud": ("aud",),
    "scalr.io": ("sub",),
    "studio.datachain.ai/api": ("sub",),
    "token.actions.githubusercontent.com": ("sub", "job_workflow_ref"),
    "tokens.cloud.shisho.dev": ("sub",),
    "vstoken.actions.githubusercontent.com": ("sub",),
}
"""By provider the claims of which one must be in a condition."""


def check(policy: Policy) -> None:
    """Refuse a trust policy that lets in whoever uses a shared provider. Raises MalformedPolicyDocument."""
    for statement in policy.statements:
        principal = statement.principal
        if principal is None or statement.effect != "Allow" or not statement.action_test(_ACTION):
            continue
        asked = {condition.key.lower() for condition in statement.conditions}
        for federated in sorted(principal.federated):
            name = federated.rpartition(":oidc-provider/")[2]
            required = [f"{name}:{claim}" for claim in CLAIMS.get(name, ())]
            if required and asked.isdisjoint(required):
                raise MalformedPolicyDocument(
                    f"A trust policy for the shared identity provider {name} must have a condition on "
                    f"{' or '.join(required)}."
                )
