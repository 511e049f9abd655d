"""How a service declares an operation, and the registry of all that are declared.

    @operation("kms.Encrypt", permissions=_may_encrypt)
    def encrypt(call, params): ...

`permissions` is required: an operation without one cannot be registered. It is a function of (call, params) that
returns the list of `Permission`s of which every one must be allowed; it may read and may raise AwsError, never
writes. An operation that needs none says so with `no_permission("why")`; one that decides item by item inside its
handler (DeleteObjects) says so with `permission_per_item("why")` and uses `call.may`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.authorization.permission import Permission
    from freehold.services.call import Call
    from freehold.storage.records import Transaction

Params = dict[str, Any]
Result = dict[str, Any]
Handler = Callable[["Call", Params], "Result | None"]
Permissions = Callable[["Call", Params], "list[Permission]"]
Prepare = Callable[["Call", Params], Awaitable[None]]
H = TypeVar("H", bound=Handler)

SERVED = (
    *("iam", "iam-toolbox", "sts", "organizations", "cognito-identity", "kms", "kms-xks-proxy", "s3", "cloudtrail"),
    "freehold",
)
"""The services whose models are routed; each is a folder here with the same name (an underscore for a hyphen)."""


@dataclass(frozen=True, slots=True)
class Operation:
    service: str
    name: str
    handler: Handler
    permissions: Permissions
    writes: bool
    """Whether the handler runs in a transaction on the writer (`call.tx`)."""
    prepare: Prepare | None
    """Awaited on the event loop after authorization and before the handler: takes in a streaming body, and leaves
    what the handler needs in `call.prepared`."""
    refuses: frozenset[str]
    """Input members that are answered with NotImplemented (501) when they are given."""
    anonymous: bool
    """Whether a request without a signature gets as far as authorization."""
    identify: Prepare | None = None
    """Awaited on the event loop before the permissions are worked out: learns from others who the caller is (asks an
    identity provider for its keys), and leaves what the permissions need in `call.prepared`."""
    large: bool = False
    """Whether its request or its answer may be larger than 1 MiB (`freehold/large_requests.py`)."""


REGISTRY: dict[str, Operation] = {}

DueWork = Callable[["App", "Transaction"], None]
DUE_WORK: list[DueWork] = []
"""What services do when the clock has moved on (key deletions, rotations, clean-up): called every half minute on one
worker, in a transaction; does nothing when nothing is due."""


def due_work(work: DueWork) -> DueWork:
    """Register `work(app, tx)` as due work."""
    DUE_WORK.append(work)
    return work


def operation(
    name: str,
    *,
    permissions: Permissions,
    writes: bool = False,
    prepare: Prepare | None = None,
    refuses: tuple[str, ...] = (),
    anonymous: bool = False,
    identify: Prepare | None = None,
    large: bool = False,
) -> Callable[[H], H]:
    """Register the decorated handler as `service.Operation`."""
    service, _, operation_name = name.partition(".")

    def register(handler: H) -> H:
        if name in REGISTRY:
            raise RuntimeError(f"{name} is declared twice")
        REGISTRY[name] = Operation(
            service,
            operation_name,
            handler,
            permissions,
            writes,
            prepare,
            frozenset(refuses),
            anonymous,
            identify,
            large,
        )
        return handler

    return register


def no_permission(why: str) -> Permissions:
    """For an operation that AWS answers for every authenticated caller. `why` is for the reader and the docs."""

    def none_needed(call: Call, params: Params) -> list[Permission]:
        return []

    none_needed.__doc__ = why
    return none_needed


permission_per_item = no_permission


def why_not(service: str, name: str) -> str:
    """Why an operation of a served service isn't implemented, as its package says."""
    package = importlib.import_module(folder(service))
    reasons: dict[str, str] = getattr(package, "NOT_IMPLEMENTED", {})
    return reasons.get(name, "not served yet")


def why_refused(service: str, name: str, member: str) -> str:
    """Why an implemented operation doesn't serve a parameter, if its package says more than that it isn't served."""
    package = importlib.import_module(folder(service))
    reasons: dict[str, str] = getattr(package, "REFUSED", {})
    return reasons.get(f"{name}.{member}", "")


def folder(service: str) -> str:
    """The package that serves a service."""
    return f"freehold.services.{service.replace('-', '_')}"


def load(service: str) -> None:
    """Import every module of a service's folder, so that its operations are registered."""
    package = importlib.import_module(folder(service))
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def load_all() -> None:
    """Load every served service."""
    for service in SERVED:
        load(service)
