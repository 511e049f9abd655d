"""Fetching from servers that mean harm, that are slow, or that lie inside."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile
import pytest
from hostile import Server, Silent, document

from freehold.federation import fetch
from freehold.federation.fetch import Answer, Fetcher, FetchFailed, Unacceptable, Unreachable, Untrusted


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


@pytest.fixture
def fetcher(server: Server) -> Iterator[Fetcher]:
    made = Fetcher(server.authority.bundle, total_seconds=1.0)
    yield made
    made.close()


def get(fetcher: Fetcher, url: str, **more: Any) -> Answer:
    return asyncio.run(fetcher.get(url, lambda answer: answer, **more))


def test_a_document_comes_with_how_long_it_may_be_kept(server: Server, fetcher: Fetcher) -> None:
    for control, kept in (
        ("max-age=60", 60),
        ("public, max-age=86400, must-revalidate", 86_400),
        ("no-store, max-age=60", 0),
        ("private", None),
        ("s-maxage=5", None),
    ):
        server.routes["/d"] = document({"a": 1}, Cache_Control=control)
        answer = get(fetcher, f"{server.origin}/d", inward=server.origin)
        assert (answer.body, answer.max_age_seconds) == (b'{"a": 1}', kept)
    server.routes["/d"] = document({}, Cache_Control="max-age=60", Age="50")
    assert get(fetcher, f"{server.origin}/d", inward=server.origin).max_age_seconds == 10


BAD_ANSWERS = {
    "declared too long": document({}, Content_Length="999999999"),
    "endless": hostile.endless,
    "too long": document(b" " * (fetch.MOST_BYTES + 1)),
    "redirecting": hostile.redirect("https://127.0.0.1/"),
    "compressed": document({}, Content_Encoding="gzip"),
    "an error": lambda handler: handler.send_error(500),
    "a length that is none": document({}, Content_Length="-1"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_is_no_small_document_is_refused(server: Server, fetcher: Fetcher, name: str) -> None:
    server.routes["/d"] = BAD_ANSWERS[name]
    with pytest.raises(FetchFailed):
        get(fetcher, f"{server.origin}/d", inward=server.origin)
    assert server.asked == ["/d"]


def test_the_longest_document_is_taken(server: Server, fetcher: Fetcher) -> None:
    server.routes["/d"] = document(b" " * fetch.MOST_BYTES)
    assert len(get(fetcher, f"{server.origin}/d", inward=server.origin).body) == fetch.MOST_BYTES


@pytest.mark.parametrize("name", ["dripping", "dripping_headers"])
def test_a_slow_answer_ends_when_the_time_is_over_and_frees_its_thread(
    server: Server, fetcher: Fetcher, name: str
) -> None:
    server.routes["/d"] = getattr(hostile, name)

    async def fetched() -> None:
        with pytest.raises(Unreachable):
            await fetcher.get(f"{server.origin}/d", lambda answer: answer, inward=server.origin)
        for _ in range(100):
            if not fetcher._running:
                return
            await asyncio.sleep(0.01)
        pytest.fail("the thread still waits")

    began = time.monotonic()
    asyncio.run(fetched())
    assert time.monotonic() - began < 2.5


def test_a_hundred_that_hang_hold_up_nothing_else(server: Server, fetcher: Fetcher) -> None:
    silent = Silent()

    async def all_at_once() -> float:
        hanging = [
            asyncio.create_task(fetcher.get(f"{silent.origin}/{number}", lambda answer: answer, inward=silent.origin))
            for number in range(100)
        ]
        await asyncio.sleep(0.05)
        longest, last = 0.0, time.monotonic()
        while not all(task.done() for task in hanging):
            await asyncio.sleep(0.005)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        failures = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(failure) for failure in failures} == {Unreachable}
        return longest

    began = time.monotonic()
    assert asyncio.run(all_at_once()) < 0.5  # the loop went on meanwhile
    assert time.monotonic() - began < 4
    silent.close()
    server.routes["/d"] = document({})
    assert get(fetcher, f"{server.origin}/d", inward=server.origin).body == b"{}"


def test_too_many_at_once_are_refused_at_once(server: Server, fetcher: Fetcher, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetch, "MOST_WAITING", 0)
    with pytest.raises(Unreachable, match="too many"):
        get(fetcher, f"{server.origin}/d", inward=server.origin)


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://127.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://user@example.com/",
        "https://example.com:22/",
        "https://example.com:8443/",
        "https://example.com/?q=1",
        "https://example.com/#f",
        "https://example.com\r\nX: y/",
        "https://exa mple.com/",
        "https:///path",
        "https://example.com:port/",
        "file:///etc/passwd",
        "https://" + "a" * 300 + ".example.com/",
    ],
)
def test_what_points_inward_or_elsewhere_is_never_called(url: str) -> None:
    def connect(*arguments: Any) -> socket.socket:
        pytest.fail(f"called {arguments}")

    fetcher = Fetcher(connect=connect)
    with pytest.raises(FetchFailed):
        get(fetcher, url)
    fetcher.close()


@pytest.mark.parametrize("port", [22, 80, 8443, 444])
def test_a_public_host_is_called_on_the_port_of_https_only(port: int) -> None:
    called = []

    def connect(address: str, port: int, seconds: float) -> socket.socket:
        called.append((address, port))
        raise OSError("not in this test")

    fetcher = Fetcher(resolve=lambda host, port: ["93.184.216.34"], connect=connect)
    with pytest.raises(Unacceptable):
        get(fetcher, f"https://idp.example.com:{port}/")
    assert called == []
    with pytest.raises(Unreachable):
        get(fetcher, "https://idp.example.com:443/")
    fetcher.close()
    assert called == [("93.184.216.34", 443)]


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["10.0.0.1", "93.184.216.34"], ["::ffff:8.8.8.8"], []],
    ids=str,
)
def test_a_name_with_an_inward_address_is_like_one_that_is_not_there(found: list[str]) -> None:
    def connect(*arguments: Any) -> socket.socket:
        pytest.fail(f"called {arguments}")

    fetcher = Fetcher(resolve=lambda host, port: found, connect=connect)
    with pytest.raises(Unreachable, match=r"^the identity provider can't be reached$"):
        get(fetcher, "https://idp.example.com/")
    fetcher.close()


def test_the_address_that_was_checked_is_the_one_that_is_called(server: Server) -> None:
    """A name that resolves to a public address first and to an inward one afterwards reaches nothing inside."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    called = []

    def connect(address: str, port: int, seconds: float) -> socket.socket:
        called.append((address, port))
        raise OSError("not in this test")

    fetcher = Fetcher(resolve=lambda host, port: next(answers), connect=connect)
    with pytest.raises(Unreachable):
        get(fetcher, "https://idp.example.com/")
    fetcher.close()
    assert called == [("93.184.216.34", 443)]


def test_this_very_machine_is_not_called_by_its_public_address_either(server: Server) -> None:
    """Whatever the address is called: a connection whose both ends are one address stays inside."""

    def connect(address: str, port: int, seconds: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", server.server_port), seconds)

    fetcher = Fetcher(server.authority.bundle, resolve=lambda host, port: ["93.184.216.34"], connect=connect)
    for inward in ("", "https://127.0.0.1:9000"):
        with pytest.raises(Unreachable):
            get(fetcher, "https://localhost/d", inward=inward)
    fetcher.close()
    assert server.asked == []


def test_only_the_very_origin_that_the_operator_named_may_be_inward(server: Server, fetcher: Fetcher) -> None:
    server.routes["/d"] = document({})
    assert get(fetcher, f"{server.origin}/d", inward=f"{server.origin}/tenant").body == b"{}"
    for inward in ("", "https://127.0.0.1", f"https://localhost:{server.server_port}", "https://127.0.0.1:1"):
        with pytest.raises(FetchFailed):
            get(fetcher, f"{server.origin}/d", inward=inward)
    assert server.asked == ["/d"]


# Certificates


def test_a_certificate_that_nobody_vouches_for_is_refused(server: Server) -> None:
    server.routes["/d"] = document({})
    fetcher = Fetcher()
    with pytest.raises(Untrusted):
        get(fetcher, f"{server.origin}/d", inward=server.origin)
    with pytest.raises(Untrusted, match="thumbprint"):
        get(fetcher, f"{server.origin}/d", inward=server.origin, thumbprints=("00" * 20,))
    assert server.asked == []
    thumbprints = ("00" * 20, server.authority.thumbprint)
    assert get(fetcher, f"{server.origin}/d", inward=server.origin, thumbprints=thumbprints).body == b"{}"
    fetcher.close()


def test_a_thumbprint_may_name_the_servers_own_certificate(tmp_path: Path) -> None:
    import hashlib
    import ssl

    alone = Server(tmp_path, show_authority=False)
    alone.routes["/d"] = document({})
    own = hashlib.sha1(ssl.PEM_cert_to_DER_cert(alone.authority.certificate.read_text())).hexdigest()
    fetcher = Fetcher()
    assert get(fetcher, f"{alone.origin}/d", inward=alone.origin, thumbprints=(own,)).body == b"{}"
    # The authority's isn't shown by this server, so its thumbprint says nothing.
    with pytest.raises(Untrusted):
        get(fetcher, f"{alone.origin}/d", inward=alone.origin, thumbprints=(alone.authority.thumbprint,))
    fetcher.close()
    alone.close()


def test_a_certificate_for_another_name_is_refused_with_a_thumbprint_too(tmp_path: Path) -> None:
    other = Server(tmp_path, "idp.example.com")
    other.routes["/d"] = document({})
    origin = f"https://localhost:{other.server_port}"
    trusting = Fetcher(other.authority.bundle)
    with pytest.raises(Unacceptable):
        get(trusting, f"{origin}/d", inward=origin)
    trusting.close()
    pinning = Fetcher()
    with pytest.raises(FetchFailed):
        get(pinning, f"{origin}/d", inward=origin, thumbprints=(other.authority.thumbprint,))
    pinning.close()
    other.close()
    assert other.asked == []


def test_the_last_certificate_that_a_trusted_server_shows_is_its_thumbprint(server: Server, fetcher: Fetcher) -> None:
    assert asyncio.run(fetcher.thumbprint(server.origin, inward=server.origin)) == server.authority.thumbprint
    distrusting = Fetcher()
    with pytest.raises(Untrusted):
        asyncio.run(distrusting.thumbprint(server.origin, inward=server.origin))
    distrusting.close()


def test_an_answer_in_the_clear_is_no_answer(fetcher: Fetcher) -> None:
    plain = socket.create_server(("127.0.0.1", 0))
    origin = f"https://127.0.0.1:{plain.getsockname()[1]}"

    async def spoken_to() -> None:
        fetching = asyncio.create_task(fetcher.get(f"{origin}/", lambda answer: answer, inward=origin))
        accepted, _ = await asyncio.to_thread(plain.accept)
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(Unreachable):
            await fetching
        accepted.close()

    asyncio.run(spoken_to())
    plain.close()


def test_old_tls_is_refused(server: Server, fetcher: Fetcher) -> None:
    import ssl

    assert fetcher.trust().context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert fetcher.trust().context.check_hostname
    assert fetcher.trust().context.verify_mode == ssl.CERT_REQUIRED
