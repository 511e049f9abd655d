"""Whom the client of external key store proxies calls, and what of its secret shows."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from freehold.authentication.credentials import Secret
from freehold.services.kms.stores.errors import PROBLEMS, StoreProblem
from freehold.services.kms.stores.xks_client import Client, Proxy

PROXY = Proxy("xks.example.com", "/kms/xks/v1", "us-east-1", "A" * 20, Secret("s" * 43))


class Called(Exception):
    pass


def client(found: list[str], proxy: Proxy = PROXY) -> tuple[Client, list[tuple[str, int]]]:
    """A client of a host with these addresses, and the list of those that it calls; none of them answers."""
    calls: list[tuple[str, int]] = []

    def connect(address: str, port: int, seconds: float) -> socket.socket:
        assert 0 < seconds <= 0.25
        calls.append((address, port))
        raise ConnectionRefusedError

    return Client(proxy, 0.25, resolve=lambda host, port: found, connect=connect), calls


INWARD = ["127.0.0.1", "10.0.0.7", "169.254.169.254", "192.168.1.1", "::1", "fd00::1", "fe80::1%eth0", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", INWARD)
def test_an_inward_address_is_never_called_alone_or_among_others(address: str) -> None:
    for found in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        asking, calls = client(found)
        with pytest.raises(StoreProblem, match="unreachable"):
            asking.post("/health", b"{}")
        assert calls == []


def test_public_addresses_are_called_on_port_443() -> None:
    asking, calls = client(["8.8.8.8", "2001:4860:4860::8888"])
    with pytest.raises(StoreProblem, match="unreachable"):
        asking.post("/health", b"{}")
    assert calls == [("8.8.8.8", 443), ("2001:4860:4860::8888", 443)]


def test_a_name_without_addresses_is_unreachable() -> None:
    with pytest.raises(StoreProblem, match="unreachable"):
        client([])[0].post("/health", b"{}")


def test_the_operators_address_may_be_inward_and_no_name_is_resolved() -> None:
    mapped = Proxy(PROXY.host, PROXY.path, PROXY.region, PROXY.access_key_id, PROXY.secret, ("10.0.0.7", 8443))
    asking, calls = client(["8.8.8.8"], mapped)
    with pytest.raises(StoreProblem, match="unreachable"):
        asking.post("/health", b"{}")
    assert calls == [("10.0.0.7", 8443)]


def test_a_public_name_that_leads_to_this_machine_is_unreachable() -> None:
    """A public address that is the machine's own is inward too."""
    listening = socket.create_server(("127.0.0.1", 0))

    def connect(address: str, port: int, seconds: float) -> socket.socket:
        return socket.create_connection(listening.getsockname(), timeout=seconds)

    asking = Client(PROXY, 0.25, resolve=lambda host, port: ["8.8.8.8"], connect=connect)
    with listening, pytest.raises(StoreProblem, match="unreachable"):
        asking.post("/health", b"{}")


def test_the_secret_is_in_no_representation() -> None:
    asking: Any = client([])[0]
    assert "s" * 43 not in repr(asking) + repr(PROXY) + str(vars(asking))


def test_every_problem_has_a_row_whose_words_are_its_own() -> None:
    for kind, row in PROBLEMS.items():
        problem = StoreProblem(kind)
        for error in (problem.managing(), problem.creating(), problem.using()):
            assert error.message == row.message
            assert 400 <= error.status < 600
        assert problem.using().code == "KMSInvalidStateException"
