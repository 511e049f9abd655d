"""One call on its way through the pipeline: what permission functions and handlers get.

The same class serves a client's request and a service's call of another service (`invoke`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.principal import Principal
from freehold.errors import AwsError
from freehold.services.operation import Operation, Params, Result
from freehold.storage.records import Reader, Transaction

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.audit.sign_in import SignIn
    from freehold.authorization.decide import Decision
    from freehold.authorization.policy_set import PolicySet
    from freehold.message import Request

T = TypeVar("T")
_NO_IDS: Final[dict[str, str]] = {}
Elsewhere = Callable[[Callable[[], Result | None]], Awaitable[Result | None]]
"""Runs a handler in a thread, and waits for it within a time of its own."""


class Call:
    """`app` holds the deployment's parts (records, blobs, clock, cache, sealing keys); `account_id` is the caller's
    account; `region` the credential scope's; `reader` what to read through (inside a write: its transaction)."""

    __slots__ = (
        "account_id",
        "answers",
        "app",
        "context",
        "decisions",
        "elsewhere",
        "endpoint",
        "event_ids",
        "events",
        "noted",
        "operation",
        "params",
        "parent",
        "prepared",
        "principal",
        "region",
        "request",
        "request_id",
        "resources",
        "sign_in",
        "transaction",
        "via",
    )

    def __init__(
        self,
        app: App,
        request: Request,
        operation: Operation,
        principal: Principal,
        region: str,
        request_id: str,
        context: dict[str, ContextValue],
        *,
        via: tuple[str, ...] = (),
        parent: Call | None = None,
        transaction: Transaction | None = None,
    ) -> None:
        self.app = app
        self.request = request
        self.operation = operation
        self.principal = principal
        self.account_id = principal.account_id
        self.region = region
        self.request_id = request_id
        self.context = context
        """Condition keys of the request (lower case)."""
        self.via = via
        """The services this call came through, outermost first (`("s3",)`), empty for a client's own call."""
        self.parent = parent
        self.transaction = transaction
        self.prepared: Any = None
        self.params: Params = {}
        self.noted: Params | None = None
        """What the audit shows among the parameters that the caller did not send as such (a SAML assertion's id)."""
        self.sign_in: SignIn | None = None
        """What the audit tells in this call's place, of one that signs someone in."""
        self.events: list[bytes] = []
        """Audit events of the calls that this one made, in order."""
        self.resources: list[tuple[str, str]] = []
        """(type, ARN) of what was touched, for the audit event: `("AWS::KMS::Key", arn)`."""
        self.decisions: list[Decision] = []
        self.event_ids: dict[str, str] = _NO_IDS
        """Account -> the id of the event that its trail has of this call, once its outcome is known."""
        self.elsewhere: Elsewhere | None = None
        """Where the handler runs instead of on the event loop, since it waits for others (a key store)."""
        self.answers: dict[str, Result | AwsError] | None = None
        """What calls that were made elsewhere for this one's handler came to."""
        self.endpoint: PolicySet | None = None
        """The policy of the VPC endpoint that the request came through. A service's own calls don't go through it."""

    @property
    def reader(self) -> Reader:
        return self.transaction if self.transaction is not None else self.app.records.reader()

    @property
    def tx(self) -> Transaction:
        """The transaction. Only an operation declared with `writes=True` has one."""
        if self.transaction is None:
            raise RuntimeError(f"{self.operation.name} is not declared as writing")
        return self.transaction

    @property
    def now(self) -> datetime:
        return self.app.clock.now()

    def cached(self, domain: str, key: Any, load: Callable[[Reader], T]) -> T:
        """`load(reader)`, kept while nothing of the domain changes; inside a transaction always fresh."""
        if self.transaction is not None:
            return load(self.transaction)
        return self.app.cache.get(domain, key, load)

    def may(self, permission: Permission) -> Decision:
        """The decision on one permission; does not raise."""
        return self.app.authorizer.decide(self, permission)

    def require(self, permission: Permission) -> None:
        """Raise the service's AccessDenied, with the reason, unless this is allowed."""
        self.app.authorizer.require(self, permission)

    def invoke(self, name: str, params: Params, *, via: str, region: str = "") -> Result:
        """Call another service as this caller, through service `via` (`"s3"`): authorization, key policies, grants
        and the audit apply, with `kms:ViaService` and `aws:ViaAWSService` set. Reading operations only; raises the
        AwsError of the call. For handlers, which may be begun again: where the call has to wait for others (a key in
        a custom key store), the handler is left for that long. Coroutines use `invoke_async`. `region`: where to ask,
        this call's own Region if nothing is said."""
        return self.app.pipeline.invoke(self, name, params, via=via, region=region)

    async def invoke_async(self, name: str, params: Params, *, via: str, region: str = "") -> Result:
        """As `invoke`, for coroutines (`prepare`)."""
        return await self.app.pipeline.invoke_async(self, name, params, via=via, region=region)

    async def invoke_write(self, name: str, params: Params, *, via: str) -> Result:
        """As `invoke`, for an operation that writes; its own transaction is durable when this returns."""
        return await self.app.pipeline.invoke_write(self, name, params, via=via)
