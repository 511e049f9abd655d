"""Tokens of HSMs, spoken to by PKCS#11: keys that are made in a token, are used in it, and never leave it.

A KMS key is a generic secret of 64 bytes, sensitive and never extractable, whose one use is HMAC-SHA-512
(docs/formats/kms-store-ciphertext.md); one that the token would give away is refused. This is for the library's own
process (`token_process.py`) and its one thread, since libraries are initialised without locks. What a token lost
meanwhile (sessions, the login, itself) is opened anew once; then the call fails.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from freehold.crypto.pkcs11_uri import TokenUri
from freehold.services.kms.stores.errors import StoreProblem

log = logging.getLogger("freehold")

KEY_BITS: Final = 512
ANEW_EVERY_SECONDS: Final = 0.2
RETRY_AFTER_SECONDS: Final = 1.0
"""How long a token that couldn't be opened is left alone."""

T = TypeVar("T")


def object_id(key_id: str) -> bytes:
    """CKA_ID of a KMS key's object: the 16 bytes of its id."""
    return uuid.UUID(key_id.removeprefix("mrk-")).bytes


def label(account_id: str, key_id: str) -> str:
    return f"freehold {account_id} {key_id}"


class Library:
    """The PKCS#11 library of this process."""

    def __init__(self, module: Path) -> None:
        self.generation = 0
        """Moves when the library was initialised anew, which ends all sessions."""
        self._module = str(module)
        self._lib: Any = None
        self._begun_at = -ANEW_EVERY_SECONDS

    def tokens(self) -> list[Any]:
        """The tokens that are there."""
        import pkcs11

        if self._lib is None or not self._lib.initialized:
            try:
                self._lib = pkcs11.lib(self._module)
            except (OSError, RuntimeError) as error:
                log.error("the PKCS#11 library %s can't be loaded: %s", self._module, type(error).__name__)
                raise StoreProblem("library") from None
        found = []
        for slot in self._lib.get_slots(token_present=True):
            try:
                found.append(slot.get_token())
            except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
                continue
        return found

    def begin_anew(self) -> None:
        """Initialise the library again: some show what came and went only then."""
        import pkcs11

        # It ends the sessions of all tokens, and so happens now and then only.
        time.sleep(max(0.0, self._begun_at + ANEW_EVERY_SECONDS - time.monotonic()))
        self.generation += 1
        self._begun_at = time.monotonic()
        if self._lib is None:
            return
        try:
            self._lib.reinitialize()
        except pkcs11.PKCS11Error as error:
            log.error("the PKCS#11 library %s can't be initialised: %s", self._module, type(error).__name__)
            raise StoreProblem("device") from None


def find(library: Library, uri: TokenUri) -> Any:
    """The one token that the URI names. Raises StoreProblem."""
    from pkcs11 import TokenFlag

    found = [token for token in library.tokens() if _is_named(token, uri) and token.flags & TokenFlag.TOKEN_INITIALIZED]
    if len(found) != 1:
        raise StoreProblem("token missing")
    return found[0]


def serial_of(token: Any) -> str:
    serial = token.serial
    return serial.decode("ascii", "replace").strip() if isinstance(serial, bytes) else str(serial).strip()


def _is_named(token: Any, uri: TokenUri) -> bool:
    return all(
        not wanted or wanted == shown.strip()
        for wanted, shown in (
            (uri.token, token.label),
            (uri.serial, serial_of(token)),
            (uri.manufacturer, token.manufacturer_id or ""),
            (uri.model, token.model or ""),
        )
    )


def again_after(library: Library, work: Callable[[], T], kinds: tuple[str, ...] = ("device",)) -> T:
    """Do `work`; after a problem of these kinds once more, with the library begun anew. Raises StoreProblem.

    A PIN that is refused is not tried again.
    """
    try:
        return _translated(work)
    except StoreProblem as problem:
        if problem.kind not in kinds:
            raise
    library.begin_anew()
    return _translated(work)


def _translated(work: Callable[[], T]) -> T:
    import pkcs11

    try:
        return work()
    except pkcs11.PKCS11Error as error:
        raise _problem(error) from None


class Token:
    """One store's token, logged in.

    `serial`: what the token must have, unless it is empty.
    """

    def __init__(self, library: Library, uri: TokenUri, pin: str, serial: str = "") -> None:
        self.library = library
        self._uri = uri
        self._pin = pin
        self.serial = serial
        self._session: Any = None
        self._generation = -1
        self._keys: dict[bytes, Any] = {}
        self._not_before = 0.0

    def __repr__(self) -> str:
        return f"Token({self._uri.token or self._uri.serial})"

    def open(self) -> None:
        """Find the token and log in. Raises StoreProblem."""
        self.shut()
        if time.monotonic() < self._not_before:
            raise StoreProblem("device")
        self._not_before = time.monotonic() + RETRY_AFTER_SECONDS
        again_after(self.library, self._log_in, ("device", "token missing"))
        self._not_before = 0.0

    def _log_in(self) -> None:
        import pkcs11

        token = find(self.library, self._uri)
        serial = serial_of(token)
        if self.serial and serial != self.serial:
            raise StoreProblem("token replaced")
        try:
            session = token.open(rw=True, user_pin=self._pin)
        except pkcs11.UserAlreadyLoggedIn:
            # A login that was left behind would let any PIN in: it ends, and this PIN is looked at.
            self.library.begin_anew()
            session = find(self.library, self._uri).open(rw=True, user_pin=self._pin)
        self.serial, self._session, self._generation = serial, session, self.library.generation

    def shut(self) -> None:
        """Log out, and forget all handles."""
        import pkcs11

        session, self._session = self._session, None
        self._keys.clear()
        if session is not None and self._generation == self.library.generation:
            # Where it fails it has ended by itself, or the next login finds this one and ends it.
            with suppress(pkcs11.PKCS11Error):
                session.close()

    def mac(self, key_id: str, message: bytes) -> bytes:
        """HMAC-SHA-512 under a key's object."""
        from pkcs11 import Mechanism

        wanted = object_id(key_id)
        return bytes(self._retried(lambda: self._key(wanted).sign(message, mechanism=Mechanism.SHA512_HMAC)))

    def make(self, key_id: str, name: str) -> None:
        """Make a key's object in the token. One that the token wouldn't keep to itself is not left there."""
        from pkcs11 import Attribute, KeyType

        wanted = object_id(key_id)
        template = {
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.PRIVATE: True,
            Attribute.SIGN: True,
            **{Attribute[other]: False for other in ("VERIFY", "ENCRYPT", "DECRYPT", "WRAP", "UNWRAP", "DERIVE")},
        }

        def work() -> None:
            self._destroy(wanted)
            self._session.generate_key(
                KeyType.GENERIC_SECRET, KEY_BITS, id=wanted, label=name, store=True, template=template
            )
            try:
                self._key(wanted)
            except BaseException:
                self._destroy(wanted)
                raise

        self._retried(work)

    def destroy(self, key_id: str) -> None:
        """Destroy a key's object, if there is one."""
        wanted = object_id(key_id)
        self._retried(lambda: self._destroy(wanted))

    def random(self, length_bytes: int) -> bytes:
        return bytes(self._retried(lambda: self._session.generate_random(length_bytes * 8)))

    def _destroy(self, wanted: bytes) -> None:
        self._keys.pop(wanted, None)
        for found in self._found(wanted):
            found.destroy()

    def _found(self, wanted: bytes) -> list[Any]:
        from pkcs11 import Attribute, ObjectClass

        return list(self._session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.ID: wanted}))

    def _key(self, wanted: bytes) -> Any:
        held = self._keys.get(wanted)
        if held is not None:
            return held
        from pkcs11 import Attribute

        found = self._found(wanted)
        if len(found) != 1:
            raise StoreProblem("key missing")
        key = found[0]
        kept_in = (Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE, Attribute.LOCAL)
        if not all(key[attribute] for attribute in kept_in) or key[Attribute.EXTRACTABLE]:
            raise StoreProblem("key exposed")
        self._keys[wanted] = key
        return key

    def _retried(self, work: Callable[[], T]) -> T:
        """Do `work`, and once more where the token had lost what is needed for it."""
        import pkcs11

        if self._session is not None and self._generation == self.library.generation:
            try:
                return work()
            except pkcs11.PKCS11Error as error:
                log.warning("a token's call failed (%s); it is opened anew", type(error).__name__)
        self.open()
        try:
            return work()
        except pkcs11.PKCS11Error as error:
            self.shut()
            raise _problem(error) from None


def _problem(error: Exception) -> StoreProblem:
    import pkcs11

    for kind, errors in (
        ("pin wrong", (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)),
        ("pin locked", (pkcs11.PinLocked, pkcs11.PinExpired)),
        ("user missing", (pkcs11.UserPinNotInitialized,)),
        ("user elsewhere", (pkcs11.UserAlreadyLoggedIn, pkcs11.AnotherUserAlreadyLoggedIn)),
        ("token missing", (pkcs11.NoSuchToken, pkcs11.TokenNotPresent, pkcs11.DeviceRemoved)),
    ):
        if isinstance(error, errors):
            return StoreProblem(kind)
    log.error("a token failed: %s", type(error).__name__)
    return StoreProblem("device")
