"""Whether a key takes part in an operation: who may use it, in which state it is, and what it is for.

The order of the refusals is AWS's: permissions (by `may_use`, before the handler), state, usage, algorithm, and only
then what is wrong with the message. A dry run ends after all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.authorization.permission import ContextValue, Permission
from freehold.crypto.envelope import Header
from freehold.services.kms import grant_tokens, loaded, specs, states
from freehold.services.kms.errors import AwsError, DryRun, InvalidKeyUsage
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.permissions import using
from freehold.services.operation import Params, Result

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call


SLOW: Final = frozenset(("ML_DSA_65", "ML_DSA_87", "RSA_4096"))
"""The specs with which one use of the private key takes more than a millisecond of CPU, on average
(docs/decisions/0011-private-keys-that-take-long.md)."""


class Prepared(NamedTuple):
    """What the permission function found, for the handler of the same call."""

    key: LoadedKey
    source: LoadedKey | None = None
    """The key of a blob, or the one that the request says it's under."""
    header: Header | None = None
    """The blob's, where the key was found by it."""


def may_use(
    call: Call, params: Params, action: str, more: Mapping[str, ContextValue] | None = None
) -> list[Permission]:
    """`action` on the key that `KeyId` names, with the encryption context and `more` condition keys."""
    if "GrantTokens" in params:
        grant_tokens.check(call, params["GrantTokens"])
    located = loaded.locate(call, params["KeyId"], action)
    key = located.key
    call.resources.append(("AWS::KMS::Key", key.arn))
    call.prepared = Prepared(key)
    return [using(call, key, located.alias, action, params.get("EncryptionContext"), more)]


def off_the_loop(call: Call, key: LoadedKey) -> None:
    """Have the handler run in a thread if what it does with the private key takes so long that all would wait."""
    if key.record.spec in SLOW:
        call.elsewhere = partial(_in_a_thread, call.app)


async def _in_a_thread(app: App, work: Callable[[], Result | None]) -> Result | None:
    return await asyncio.get_running_loop().run_in_executor(app.pool, work)


def usable(key: LoadedKey, operation_name: str, params: Params) -> None:
    """Raise unless this is a symmetric encryption key whose state admits the operation; end a dry run.

    All else must have been checked by then.
    """
    if not key.enabled:
        states.check(operation_name, key.record.state, key.arn)
    if not key.symmetric:
        raise wrong_usage(key, operation_name)
    if params.get("DryRun"):
        raise DryRun


def usable_for(key: LoadedKey, operation_name: str, usage: str, algorithm: str) -> None:
    """Raise unless the key's state admits the operation, the key is for this usage and has this algorithm."""
    if not key.enabled:
        states.check(operation_name, key.record.state, key.arn)
    record = key.record
    if record.usage != usage:
        raise wrong_usage(key, operation_name)
    if algorithm not in specs.SPECS[record.spec].usages[usage]:
        raise wrong_algorithm(key, algorithm)


def wrong_usage(key: LoadedKey, operation_name: str) -> AwsError:
    """The error of an operation that keys of this usage don't take part in."""
    return InvalidKeyUsage(f"{key.arn} key usage is {key.record.usage} which is not valid for {operation_name}.")


def wrong_algorithm(key: LoadedKey, algorithm: str) -> AwsError:
    return InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.record.spec}.")
