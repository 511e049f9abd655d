"""What of a service-linked role only its service may change: everything but description and tags.

Such a role is known by its path, which CreateRole gives to nobody.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-service-linked-roles.html
"""

from __future__ import annotations

from freehold.services.iam.errors import UnmodifiableEntity
from freehold.services.iam.records import Group, Role, User

PATH = "/aws-service-role/"


def is_service_linked(role: Role) -> bool:
    return role.path.startswith(PATH)


def service_of(role: Role) -> str:
    """The service principal that a service-linked role belongs to."""
    return role.path.removeprefix(PATH).rstrip("/")


def refuse_protected(entity: User | Group | Role) -> None:
    """Raise UnmodifiableEntity for a role that only its service may change."""
    if isinstance(entity, Role) and is_service_linked(entity):
        raise UnmodifiableEntity(
            f"Cannot perform the operation on the protected role '{entity.name}' - this role is only modifiable by AWS"
        )
