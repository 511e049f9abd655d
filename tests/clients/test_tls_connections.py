"""The server's side of TLS connections that their clients leave open."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import SSLError
from clients_authority import Authority

from freehold.testing import server


def _idle_after_a_request(endpoint: str, authority: Authority) -> socket.socket:
    connection = _connected(endpoint, authority)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 403")
    return connection


def _connected(endpoint: str, authority: Authority) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.bundle))
    return context.wrap_socket(_bare(endpoint, authority), server_hostname="localhost", suppress_ragged_eofs=False)


def _bare(endpoint: str, _: Authority) -> socket.socket:
    """Connected, and silent before the TLS handshake."""
    return socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), timeout=10)


@pytest.mark.parametrize("connect", [_idle_after_a_request, _connected, _bare])
def test_a_stop_does_not_wait_for_a_silent_client(authority: Authority, connect: Callable[..., Any]) -> None:
    options = (f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}")
    trusting = server(options=options, ca_bundle=str(authority.bundle))
    with trusting as running, connect(running.endpoint, authority) as connection:
        # The connection is accepted by a server that answers.
        running.account.sts.get_caller_identity()
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 5
        if isinstance(connection, ssl.SSLSocket):
            # The end is announced: a cut would raise SSLEOFError.
            assert connection.recv(1) == b""


def test_a_client_that_does_not_know_the_authority_sends_nothing(authority: Authority) -> None:
    options = (f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}")
    with server(options=options, ca_bundle=str(authority.bundle)) as running:
        assert running.account.sts.get_caller_identity()["Account"] == running.account.account_id
        running.ca_bundle = None
        with pytest.raises(SSLError):
            running.account.sts.get_caller_identity()
