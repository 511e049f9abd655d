"""What the content of each type of policy must be.

Service and resource control policies go through the parser that decisions use. The other types are JSON whose
inheritance operators must be right; what their settings mean is their services' matter, and isn't checked.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_syntax.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_syntax.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
"""

from __future__ import annotations

from typing import Any, Final

from freehold.authorization import document
from freehold.authorization.document import MalformedPolicy
from freehold.services.organizations import inheritance
from freehold.services.organizations.errors import MalformedPolicyDocument, constraint
from freehold.services.organizations.inheritance import BadOperator

MOST_CHARACTERS: Final = {
    # Doubled in May 2026; white space counts.
    "SERVICE_CONTROL_POLICY": 10_240,
    "RESOURCE_CONTROL_POLICY": 5_120,
    "AISERVICES_OPT_OUT_POLICY": 2_500,
}
_MOST_CHARACTERS_OTHERWISE: Final = 10_000

MOST_POLICIES: Final = {"SERVICE_CONTROL_POLICY": 10_000}
MOST_POLICIES_OTHERWISE: Final = 1_000

_TOP: Final = {
    "TAG_POLICY": "tags",
    "BACKUP_POLICY": "plans",
    "AISERVICES_OPT_OUT_POLICY": "services",
    "CHATBOT_POLICY": "chatbots",
    "DECLARATIVE_POLICY_EC2": "ec2_attributes",
}
"""What the whole policy is under, for the types whose schema names one."""


def check(type_: str, content: str) -> None:
    """Raises MalformedPolicyDocumentException, ConstraintViolationException."""
    if len(content) > MOST_CHARACTERS.get(type_, _MOST_CHARACTERS_OTHERWISE):
        raise constraint("POLICY_CONTENT_LIMIT_EXCEEDED")
    try:
        if type_ == "SERVICE_CONTROL_POLICY":
            document.parse(content, "scp", newest_version_only=True)
        elif type_ == "RESOURCE_CONTROL_POLICY":
            _check_rcp(content)
        else:
            _check_management_policy(type_, content)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None
    except BadOperator as error:
        raise MalformedPolicyDocument(str(error)) from None


def _check_rcp(content: str) -> None:
    policy = document.parse(content, "rcp", newest_version_only=True)
    for statement in policy.statements:
        if statement.effect != "Deny":
            raise MalformedPolicy("The Effect of a resource control policy must be Deny.")
        if statement.not_actions:
            raise MalformedPolicy("Has prohibited field NotAction")
        if "*" in statement.actions:
            raise MalformedPolicy('The Action of a resource control policy names services: "*" alone is not supported.')


def _check_management_policy(type_: str, content: str) -> None:
    policy: Any = document.load_json(content)
    if not isinstance(policy, dict) or not policy:
        raise MalformedPolicy("The policy is a JSON object with settings.")
    top = _TOP.get(type_)
    if top is not None and set(policy) != {top}:
        raise MalformedPolicy(f'The policy is an object with one element, "{top}".')
    if not all(isinstance(settings, dict) for settings in policy.values()):
        raise MalformedPolicy("The elements of the policy are objects.")
    inheritance.check(policy)
