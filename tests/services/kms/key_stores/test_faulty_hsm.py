"""An HSM that hangs, fails or is removed in the middle of a call: AWS's errors, nobody else delayed, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from soft_hsm import MODULE, PIN, SoftHsm
from stores_in_use import Refused, connected, disconnected, hsm_key, new_store, until

from freehold.testing import Principal, Server, server

SOURCE = Path(__file__).with_name("faulty_pkcs11.c")


class FaultyHsm(SoftHsm):
    """SoftHSM behind a library whose C_Sign can be made to fail."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 3)
        self.faults = directory / "faults"
        self.faults.mkdir()
        self.library = directory / "faulty.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"], check=True)
        self.environment |= {"FAULTS": str(self.faults), "SOFTHSM_MODULE": MODULE}

    def uri(self, label: str, *more: str) -> str:
        return super().uri(label, *more).replace(MODULE, str(self.library))

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        (self.faults / name).touch()
        try:
            yield
        finally:
            (self.faults / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def faulty_hsm(tmp_path_factory: pytest.TempPathFactory) -> FaultyHsm:
    return FaultyHsm(tmp_path_factory.mktemp("faulty-hsm"))


@pytest.fixture(scope="module")
def faulty_server(faulty_hsm: FaultyHsm) -> Iterator[Server]:
    options = [*faulty_hsm.options, "--hsm-timeout-ms=500"]
    with server(options=options, environment=faulty_hsm.environment) as running:
        yield running


@pytest.fixture(scope="module")
def account(faulty_server: Server) -> Principal:
    return faulty_server.new_account()


@pytest.fixture(scope="module")
def held(account: Principal, faulty_hsm: FaultyHsm) -> tuple[str, str, bytes]:
    """A store, a key in it, and a blob under that."""
    store = connected(account, new_store(account, faulty_hsm)[0])
    key = hsm_key(account, store)["KeyId"]
    return store, key, account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]


def test_a_device_that_is_removed_in_a_call_is_opened_again_for_it(
    account: Principal, faulty_hsm: FaultyHsm, held: tuple[str, str, bytes]
) -> None:
    with faulty_hsm.fault("removed"):
        assert account.kms.decrypt(CiphertextBlob=held[2])["Plaintext"] == b"kept"
        assert not (faulty_hsm.faults / "removed").exists()


def test_a_device_that_fails_is_an_invalid_state_until_it_doesnt(
    account: Principal, faulty_hsm: FaultyHsm, held: tuple[str, str, bytes], refused: Refused
) -> None:
    with faulty_hsm.fault("broken"):
        for _ in range(3):
            with refused("KMSInvalidStateException", "does not answer as it should"):
                account.kms.decrypt(CiphertextBlob=held[2])
    _works_again(account, held[2])
    assert until(account, held[0], "CONNECTED")


def test_an_hsm_that_hangs_times_out_and_delays_nobody_else(
    account: Principal, faulty_hsm: FaultyHsm, held: tuple[str, str, bytes]
) -> None:
    plain = account.kms.create_key()["KeyMetadata"]["KeyId"]
    clients, quick = [account.client("kms") for _ in range(6)], account.client("kms")
    codes: list[str] = []

    def use(client: Any) -> None:
        with pytest.raises(client.exceptions.DependencyTimeoutException) as error:
            client.decrypt(CiphertextBlob=held[2])
        codes.append(str(error.value.response["ResponseMetadata"]["HTTPStatusCode"]))

    with faulty_hsm.fault("hang"), ThreadPoolExecutor(6) as threads:
        waiting = [threads.submit(use, client) for client in clients]
        done = 0
        while not any(one.done() for one in waiting):
            quick.encrypt(KeyId=plain, Plaintext=b"x")
            done += 1
        for one in waiting:
            one.result()
    assert done > 10
    assert codes == ["503"] * 6
    _works_again(account, held[2])


def test_a_library_that_crashes_takes_nothing_with_it(
    account: Principal, faulty_hsm: FaultyHsm, faulty_server: Server, held: tuple[str, str, bytes], refused: Refused
) -> None:
    before = faulty_server.pid
    with faulty_hsm.fault("crash"), refused("KMSInvalidStateException"):
        account.kms.decrypt(CiphertextBlob=held[2])
    assert account.kms.decrypt(CiphertextBlob=held[2])["Plaintext"] == b"kept"
    assert faulty_server.pid == before


def test_a_pin_that_is_refused_later_fails_the_store_and_is_not_tried_again(
    account: Principal, faulty_hsm: FaultyHsm, refused: Refused
) -> None:
    store_id, number = new_store(account, faulty_hsm, "changed-behind")
    connected(account, store_id)
    key = hsm_key(account, store_id)["KeyId"]
    blob = account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    _change_pin(faulty_hsm, f"token-{number}", PIN, "another-pin")
    with faulty_hsm.fault("crash"), refused("KMSInvalidStateException"):
        account.kms.decrypt(CiphertextBlob=blob)
    with refused("KMSInvalidStateException", "KeyStorePassword"):
        account.kms.decrypt(CiphertextBlob=blob)
    assert until(account, store_id, "FAILED")["ConnectionErrorCode"] == "INVALID_CREDENTIALS"
    with refused("KMSInvalidStateException", "unavailable"):
        account.kms.decrypt(CiphertextBlob=blob)
    disconnected(account, store_id)
    account.kms.update_custom_key_store(CustomKeyStoreId=store_id, KeyStorePassword="another-pin")
    connected(account, store_id)
    assert account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"


def _change_pin(hsm: FaultyHsm, label: str, old: str, new: str) -> None:
    code = (
        f"import pkcs11; token = pkcs11.lib({MODULE!r}).get_token(token_label={label!r})\n"
        f"with token.open(rw=True, user_pin={old!r}) as session: session.set_pin({old!r}, {new!r})"
    )
    environment = {**os.environ, **hsm.environment}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_the_librarys_process_ends_with_the_server_and_knows_no_secret_by_its_arguments(tmp_path: Path) -> None:
    hsm = FaultyHsm(tmp_path / "hsm")
    with server(options=hsm.options, environment=hsm.environment, workers=2) as running:
        owner = running.new_account()
        key = hsm_key(owner, connected(owner, new_store(owner, hsm)[0]))["KeyId"]
        for _ in range(8):
            owner.client("kms").encrypt(KeyId=key, Plaintext=b"x")
        found = _processes(hsm)
        assert found
        assert all(PIN not in arguments for arguments in found)
        running.kill()
        deadline = time.monotonic() + 10
        while _processes(hsm):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _processes(hsm: FaultyHsm) -> list[str]:
    """The arguments of the processes that have this HSM's library."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            arguments = path.read_text()
            if "token_process" in arguments and str(hsm.library) in arguments:
                found.append(arguments)
    return found


def test_a_server_stops_though_its_hsm_hangs(tmp_path: Path) -> None:
    hsm = FaultyHsm(tmp_path / "hsm")
    with server(options=[*hsm.options, "--hsm-timeout-ms=200"], environment=hsm.environment) as running:
        owner = running.new_account()
        key = hsm_key(owner, connected(owner, new_store(owner, hsm)[0]))["KeyId"]
        with hsm.fault("hang"):
            with pytest.raises(owner.kms.exceptions.DependencyTimeoutException):
                owner.kms.encrypt(KeyId=key, Plaintext=b"x")
            before = time.monotonic()
            assert running.stop() == 0
            assert time.monotonic() - before < 10


def _works_again(account: Principal, blob: bytes) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            assert account.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
            return
        except account.kms.exceptions.ClientError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
