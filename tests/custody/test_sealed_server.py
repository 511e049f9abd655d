"""A server whose root key is in people's hands: sealed, unsealed, sealed again; real processes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from clients_authority import make_authority
from custody_drive import (
    CHEAP,
    PASSPHRASE,
    anyone,
    command,
    every_byte,
    giving,
    is_sealed,
    operator_environment,
    printed,
    shares_of,
    trail,
    unseal,
    until,
)

from freehold.testing import Server


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_is_sealed_until_enough_shares_came_and_can_be_sealed_again(
    shamir_server: Server, workers: int
) -> None:
    server, (first, second, third) = shamir_server, shares_of(shamir_server)
    server._options = [f"--workers={workers}"]
    server.start()
    try:
        client = anyone(server)
        assert client.get_seal_status()["Custody"] == "shamir"
        for call in (server.account.kms.list_keys, server.account.s3.list_buckets, server.account.iam.list_users,
                     server.operator.freehold.list_accounts, server.operator.freehold.seal):  # fmt: skip
            with pytest.raises(ClientError) as refused:
                call()
            assert code_of(refused) == ("ServiceUnavailable", 503)
        assert client.unseal(Share=first)["Progress"] == 1
        assert client.unseal(Share=first)["Progress"] == 1, "a share counts once"
        assert is_sealed(server)
        assert client.unseal(Share=f"  {third.upper()}\n")["Sealed"] is False
        until(lambda: not is_sealed(server))
        key = server.account.kms.create_key()["KeyMetadata"]["KeyId"]
        sealed = server.account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]

        had_the_key = descendants(server.pid)
        server.operator.freehold.seal()
        until(lambda: is_sealed(server))
        assert had_the_key.isdisjoint(descendants(server.pid)), "processes that had the key are gone"
        with pytest.raises(ClientError) as refused:
            server.account.kms.decrypt(CiphertextBlob=sealed)
        assert code_of(refused) == ("ServiceUnavailable", 503)
        unseal(server, second, third)
        assert server.account.kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"kept"
    finally:
        server.close()
    told = [event for event in trail(server, giving(first, third)) if event["eventName"] in ("Unseal", "Seal")]
    assert sorted(event["eventName"] for event in told) == ["Seal", *["Unseal"] * 5]
    assert {event["sourceIPAddress"] for event in told} == {"127.0.0.1"}
    kept = every_byte(server)
    assert not [share for share in shares_of(server) if share.encode() in kept or share in str(told)]


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        found |= {child, *descendants(child)}
    return found


def test_a_wrong_share_is_refused_alone_and_guessing_is_slowed(shamir_server: Server) -> None:
    server, (first, second, _) = shamir_server, shares_of(shamir_server)
    server.start()
    try:
        client = anyone(server)
        client.unseal(Share=first)
        words = second.split()
        for wrong in (" ".join([*words[:-1], words[0]]), second[:-1], "no words of any list", "x"):
            try:
                client.unseal(Share=wrong)
            except ClientError as error:
                said = error.response["Error"]["Code"]
            assert said in ("UnsealFailedException", "TooManyRequestsException")
        assert said == "TooManyRequestsException"
        assert client.get_seal_status()["Progress"] == 1
        until(lambda: succeeds(lambda: client.unseal(Share=second)))
        until(lambda: not is_sealed(server))
        with pytest.raises(ClientError) as refused:
            client.unseal(Share=second)
        assert code_of(refused) == ("ValidationException", 400)
        log = server.log()
        assert "unseal from 127.0.0.1: UnsealFailedException" in log
        assert not [word for word in set(words) if len(word) > 7 and word in log]
    finally:
        server.close()


def succeeds(call: object) -> bool:
    try:
        call()  # type: ignore[operator]
    except ClientError:
        return False
    return True


FORM = "Content-Type: application/x-www-form-urlencoded"
REQUESTS = [  # what a client of each protocol sends, the shape of the refusal
    ("GET /bucket/key HTTP/1.1\r\nHost: h\r\n\r\n", rb"<Error><Code>ServiceUnavailable</Code>"),
    ("POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: TrentService.Encrypt\r\nContent-Length: 2\r\n\r\n{}",
     rb'"__type":"ServiceUnavailable"'),
    (f"POST / HTTP/1.1\r\n{FORM}\r\nContent-Length: 16\r\n\r\nAction=ListUsers", rb"<Code>ServiceUnavailable</Code>"),
    ("GET /.well-known/openid-configuration HTTP/1.1\r\nHost: h\r\n\r\n", b"ServiceUnavailable"),
    ("PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", b"ServiceUnavailable"),
    ("POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: Freehold.Unseal\r\nContent-Length: 1\r\n\r\n{", b"Serialization"),
    ("POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: Freehold.Unseal\r\nContent-Length: 2\r\n\r\n{}", b"by shares"),
    ("POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: Freehold.CreateAccount\r\nContent-Length: 2\r\n\r\n{}",
     b"ServiceUnavailable"),
    ("POST /kms/xks/v1/health HTTP/1.1\r\nHost: h\r\nX-Amz-Target: Freehold.Unseal\r\nContent-Length: 2\r\n\r\n{}",
     b'"errorName":"DependencyTimeoutException"'),
]  # fmt: skip


def test_every_protocol_is_refused_in_its_own_shape(shamir_server: Server) -> None:
    shamir_server.start()
    try:
        address = re.fullmatch(r"http://(.*):(\d+)", shamir_server.endpoint)
        assert address is not None
        for request, shape in REQUESTS:
            with socket.create_connection((address[1], int(address[2])), 10) as connection:
                connection.sendall(request.encode())
                answer = b""
                while b"\r\n\r\n" not in answer or shape not in answer:
                    piece = connection.recv(65536)
                    assert piece, (request, answer)
                    answer += piece
                wanted = b"400" if b"Serial" in shape or b"shares" in shape else b"503"
                assert answer.startswith(b"HTTP/1.1 " + wanted), answer
    finally:
        shamir_server.close()


def test_the_commands_unseal_and_seal(shamir_server: Server, tmp_path: Path) -> None:
    server, (first, second, _) = shamir_server, shares_of(shamir_server)
    server.start()
    environment = operator_environment(server, dict(os.environ))
    at = f"--endpoint={server.endpoint}"
    try:
        assert "0 of 2 shares" in command("status", at)
        assert printed("unseal", at, stdin=first + "\n")["progress"] == 1
        assert "1 of 2 shares" in command("status", at)
        assert "unsealed" in command("unseal", at, stdin=second + "\n")
        until(lambda: not is_sealed(server))
        assert printed("status", at, environment=environment)["sealed"] is False
        facts = printed("root-key", "status", at, environment=environment)
        assert (facts["custody"], facts["number"], facts["sealable"]) == ("shamir", 1, True)
        command("seal", at, environment=environment)
        until(lambda: is_sealed(server))
    finally:
        server.close()


def test_a_passphrase_opens_at_the_start_or_later(passphrase_server: Server, tmp_path: Path) -> None:
    server = passphrase_server
    server._options = [f"--secret-file={tmp_path / 'secret'}"]
    server.start()
    try:
        assert not is_sealed(server)
        server.operator.freehold.seal()
        until(lambda: is_sealed(server))
        client = anyone(server)
        with pytest.raises(ClientError) as refused:
            client.unseal(Passphrase="correct horse battery stable")
        assert code_of(refused) == ("UnsealFailedException", 403)
        client.unseal(Passphrase="correct horse battery staple")
        until(lambda: not is_sealed(server))
        assert server.account.s3.list_buckets()["Buckets"] == []
    finally:
        server.close()


def test_only_the_operator_seals_and_only_what_can_be_unsealed(freehold_server: Server) -> None:
    account = freehold_server.new_account()
    with pytest.raises(ClientError) as refused:
        account.freehold.seal()
    assert code_of(refused)[0] == "AccessDeniedException"
    with pytest.raises(ClientError, match="not in people's hands") as refused:
        freehold_server.operator.freehold.seal()
    assert code_of(refused)[0] == "ValidationException"
    assert anyone(freehold_server).get_seal_status()["Sealed"] is False


def test_a_sealed_server_stops_when_it_is_told_to(shamir_server: Server) -> None:
    shamir_server.start()
    children = descendants(shamir_server.pid)
    status = shamir_server.stop()
    shamir_server.close()
    assert status == 0
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def test_a_sealed_server_speaks_tls_with_several_workers(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    server = Server(
        tmp_path,
        workers=2,
        options=(f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}"),
        ca_bundle=str(authority.bundle),
        init=("--custody=shamir", "--with=shares=2", "--with=threshold=2"),
    )
    server.start()
    try:
        assert server.endpoint.startswith("https://")
        first, second = shares_of(server)
        at = (f"--endpoint={server.endpoint}", f"--ca-bundle={authority.bundle}")
        assert printed("unseal", *at, stdin=first)["progress"] == 1
        assert printed("unseal", *at, stdin=second)["sealed"] is False
        until(lambda: not is_sealed(server))
        assert server.account.s3.list_buckets()["Buckets"] == []
    finally:
        server.close()


def test_offline_commands_ask_for_what_they_need(passphrase_server: Server, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "freehold", "audit", "verify", f"--data={passphrase_server.data}"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is locked: the passphrase is needed" in done.stderr
    secret = {**os.environ, "FREEHOLD_SECRET_FILE": str(tmp_path / "secret")}
    read = subprocess.run(words, stdin=subprocess.DEVNULL, env=secret, capture_output=True, text=True)
    assert "0 events in 0 segments" in read.stdout, "a server never wrote there"
    assert printed("status", f"--data={passphrase_server.data}")["custody"] == "passphrase"


def test_a_passphrase_comes_through_a_descriptor(tmp_path: Path) -> None:
    """As a shell's `3< <(command)` gives it. It is in no argument."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode())
    os.close(writing)
    words = ["init", f"--data={tmp_path / 'data'}", "--custody=passphrase", f"--secret-fd={reading}", *CHEAP]
    subprocess.run([sys.executable, "-m", "freehold", *words], pass_fds=[reading], check=True, capture_output=True)
    os.close(reading)
    from freehold.custody.mark import open_directory

    assert open_directory(tmp_path / "data", giving(PASSPHRASE)).head.kind == "passphrase"
