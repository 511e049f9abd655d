"""What the registry guarantees of every operation."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.services.catalogue import catalogue
from freehold.services.operation import REGISTRY, no_permission, operation

catalogue()

WITHOUT_PERMISSION = {
    "cognito-identity.GetId",
    "cognito-identity.GetOpenIdToken",
    "cognito-identity.UnlinkIdentity",
    "freehold.GetSealStatus",
    "freehold.SignIn",
    "freehold.SignInWithToken",
    "freehold.SignOut",
    "freehold.Unseal",
    "kms-xks-proxy.GetHealthStatus",
    "s3.DeleteObjects",
    "sts.GetCallerIdentity",
}


def _needs_none(name: str) -> bool:
    return REGISTRY[name].permissions.__qualname__.startswith(no_permission.__name__)


def test_an_operation_without_permissions_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="permissions"):
        operation("sts.Anything")  # type: ignore[call-arg]


def test_an_operation_cannot_be_declared_twice() -> None:
    def handler(call: Any, params: Any) -> None:
        """Nothing."""

    with pytest.raises(RuntimeError, match="declared twice"):
        operation("sts.GetCallerIdentity", permissions=no_permission("test"))(handler)


def test_who_needs_no_permission_is_known_by_name() -> None:
    assert {name for name in REGISTRY if _needs_none(name)} == WITHOUT_PERMISSION
    for name in WITHOUT_PERMISSION:
        assert (REGISTRY[name].permissions.__doc__ or "").strip(), f"{name} does not say why"


UNSIGNED = {
    "cognito-identity.GetCredentialsForIdentity",
    "cognito-identity.GetId",
    "cognito-identity.GetOpenIdToken",
    "cognito-identity.UnlinkIdentity",
    "freehold.GetSealStatus",
    "freehold.SignIn",
    "freehold.SignInWithToken",
    "freehold.Unseal",
    "sts.AssumeRoleWithSAML",
    "sts.AssumeRoleWithWebIdentity",
}
"""Whoever brings a password, a token, an assertion or a share of the root key signs nothing. S3's public objects are
the policies' to allow."""


def test_what_may_be_called_without_a_signature_is_known_by_name() -> None:
    found = {name for name, each in REGISTRY.items() if each.anonymous and not name.startswith("s3.")}
    assert found == UNSIGNED
