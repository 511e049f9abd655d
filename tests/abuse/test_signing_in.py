"""Attacks on signing in: guessing, finding out who exists, locking others out, replay, exhaustion, leaking secrets."""

from __future__ import annotations

import base64
import http.client
import json
import math
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from authenticator import enabled
from botocore.exceptions import ClientError
from test_secrets_stay_in import spellings, trail_of

from freehold.services.freehold import sign_in
from freehold.testing import server as servers

PASSWORD = "Correct-Horse-1"
FAILED, WAIT = "SignInFailedException", "TooManyRequestsException"


class Attacker:
    """Signs in, or tries to, from addresses of its own (127.0.0.0/8 is all this machine's)."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.netloc = urlsplit(aws.endpoint).netloc

    def ask(
        self, body: dict[str, Any] | bytes, address: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self.netloc, source_address=(address, 0), timeout=60)
        try:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"x-amz-target": "Freehold.SignIn", "content-type": "application/x-amz-json-1.1"} | headers
            connection.request("POST", "/", raw, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def code(self, name: str | None = "ada", password: str = "wrong", address: str = "127.0.0.1", **more: Any) -> str:
        """The error's code, or `in`, or the challenge."""
        asked = {"Account": self.aws.account_id, "Password": password} | more
        if name is not None:
            asked["UserName"] = name
        _, answer = self.ask(asked, address)
        return str(answer.get("__type", answer.get("Challenge", "in"))).rpartition("#")[2]

    def fails_until_waits_are_long(self, server: Any, free: int = 5, **asked: Any) -> None:
        """The free failures, and those after which the next attempt has to wait 16 seconds or more: the waits are
        in full before the test goes on, so that no pause of a busy machine ends one."""
        for seconds in (*[0] * free, *(2**doubled for doubled in range(4))):
            server.advance(seconds=seconds)
            assert self.code(**asked) == FAILED


@pytest.fixture
def fresh() -> Iterator[Any]:
    """A server of one's own, since addresses are counted for all of its accounts; it must have had no defect."""
    with servers() as running:
        yield running
        assert running.log() == ""


@pytest.fixture
def door(fresh: Any) -> Attacker:
    aws = fresh.new_account()
    aws.iam.create_user(UserName="ada")
    aws.iam.create_login_profile(UserName="ada", Password=PASSWORD)
    return Attacker(aws)


def test_guessing_is_slowed_and_stops_the_right_password_too(fresh: Any, door: Attacker) -> None:
    door.fails_until_waits_are_long(fresh)
    assert [door.code(), door.code(), door.code(password=PASSWORD)] == [WAIT] * 3
    guessed = 0
    for _ in range(120):  # an hour of trying every 30 seconds
        fresh.advance(seconds=30)
        guessed += door.code() == FAILED
    assert 90 < guessed <= 120
    status, answer = door.ask({"Account": door.aws.account_id, "UserName": "ada", "Password": "x"})
    assert (status, answer["RetryAfterSeconds"] <= sign_in.ONE_AT_AN_ADDRESS.most_seconds) == (429, True)


def test_guessing_somebody_s_password_doesn_t_lock_them_out(fresh: Any, door: Attacker) -> None:
    token = door.ask({"Account": door.aws.account_id, "UserName": "ada", "Password": PASSWORD})[1]["DeviceToken"]
    door.fails_until_waits_are_long(fresh, address="127.0.1.1")  # the victim's own address
    assert door.code(address="127.0.1.1", password=PASSWORD) == WAIT
    codes = [door.code(address=f"127.0.1.{number + 2}") for number in range(60)]
    assert WAIT in codes  # each address asked once
    assert door.code(address="127.0.1.1", password=PASSWORD, DeviceToken=token) == "in"
    assert door.code(address="127.0.1.2", DeviceToken=token) == FAILED


def test_another_s_address_is_not_slowed_by_a_few_guesses(door: Attacker) -> None:
    for _ in range(10):
        door.code()
    assert door.code(password=PASSWORD, address="127.0.0.9") == "in"


def test_a_forged_or_another_user_s_device_token_buys_nothing(fresh: Any, door: Attacker) -> None:
    door.aws.iam.create_user(UserName="eve")
    door.aws.iam.create_login_profile(UserName="eve", Password=PASSWORD)
    token = door.ask({"Account": door.aws.account_id, "UserName": "eve", "Password": PASSWORD})[1]["DeviceToken"]
    altered = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    door.fails_until_waits_are_long(fresh)
    for forged in (token, altered, "x", "A" * 1024, "é"):
        assert door.code(DeviceToken=forged) == WAIT
    own = door.ask({"Account": door.aws.account_id, "UserName": "eve", "Password": PASSWORD})[1]["DeviceToken"]
    door.fails_until_waits_are_long(fresh, name="eve", DeviceToken=own)
    assert [door.code("eve", DeviceToken=own) for _ in range(2)] == [WAIT] * 2  # with a token, guesses count as well


def test_trying_one_password_on_many_users_is_slowed_for_that_address(fresh: Any, door: Attacker) -> None:
    for number, seconds in enumerate((*[0] * sign_in.ADDRESS.free, 1, 2, 4)):
        fresh.advance(seconds=seconds)
        assert door.code(f"user-{number}") == FAILED
    assert door.code("user-998") == WAIT
    assert door.code("user-999", address="127.0.0.7") == FAILED


def test_waiting_tells_nothing_of_who_exists(fresh: Any, door: Attacker) -> None:
    alias = f"acme-{door.aws.account_id}"
    door.aws.iam.create_account_alias(AccountAlias=alias)

    def tried(name: str | None, address: str) -> list[str]:
        codes = []
        for turn, seconds in enumerate((0, 0, 0, 0, 0, 1, 2, 4, 8, 0, 0, 0)):
            fresh.advance(seconds=seconds)
            codes.append(door.code(name, address=address, Account=(door.aws.account_id, alias)[turn % 2]))
        return codes

    for number, name in enumerate(("ada", "nobody", None)):
        assert tried(name, f"127.0.3.{number + 1}") == [FAILED] * 9 + [WAIT] * 3, name


def test_the_time_tells_nothing_of_who_exists(fresh: Any, door: Attacker) -> None:
    """What a busy machine adds is least in the quickest of many; what the server does is in each of them."""
    times: dict[str, list[float]] = {"ada": [], "nobody": [], "elsewhere": []}
    for number in range(60):
        for name, taken in times.items():
            account = "999999999999" if name == "elsewhere" else door.aws.account_id
            start = time.perf_counter()
            assert door.code(name, address=f"127.0.{number + 10}.{len(name)}", Account=account) == FAILED
            taken.append(time.perf_counter() - start)
        quickest = {name: min(taken) for name, taken in times.items()}
        if number % 15 == 14:
            if max(quickest.values()) < 1.3 * min(quickest.values()):
                break
            fresh.advance(seconds=3600)  # what was counted is forgotten
    assert max(quickest.values()) < 1.3 * min(quickest.values()), quickest


def test_many_guesses_at_once_gain_nothing() -> None:
    with servers(workers=2) as running:
        aws = running.new_account()
        aws.iam.create_user(UserName="ada")
        aws.iam.create_login_profile(UserName="ada", Password=PASSWORD)
        door = Attacker(aws)
        start = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(lambda number: door.code(password=f"guess-{number}"), range(64)))
        # After the free ones a guess each after 1, 2, 4 … seconds, however long it took.
        waited_for = int(math.log2(time.monotonic() - start + 1))
        assert codes.count(FAILED) <= sign_in.ONE_AT_AN_ADDRESS.free + waited_for
        assert set(codes) == {FAILED, WAIT}
        assert running.log() == ""


def test_hashing_for_attackers_doesn_t_stop_the_others(fresh: Any, door: Attacker) -> None:
    slowest = 0.0
    before = _resident_bytes(fresh.pid)
    with ThreadPoolExecutor(40) as pool:
        attack = [
            pool.submit(door.code, f"user-{number % 50}", address=f"127.0.{number % 50}.1") for number in range(400)
        ]
        while not all(each.done() for each in attack):
            start = time.perf_counter()
            door.aws.sts.get_caller_identity()
            slowest = max(slowest, time.perf_counter() - start)
    codes = [each.result() for each in attack]
    assert set(codes) <= {FAILED, WAIT}
    assert codes.count(WAIT) > 100
    assert slowest < 2
    assert _resident_bytes(fresh.pid) - before < 100 * 1024 * 1024


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_a_code_that_was_used_in_one_place_is_used_everywhere(fresh: Any, door: Attacker) -> None:
    phone = enabled(fresh, door.aws, "ada")
    ada = door.aws.using(door.aws.iam.create_access_key(UserName="ada"))
    code = phone.code()
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=code)
    assert door.code(password=PASSWORD, MfaCode=code) == FAILED
    phone.wait()
    code = phone.code()
    assert door.code(password=PASSWORD, MfaCode=code) == "in"
    with pytest.raises(ClientError, match="AccessDenied"):
        ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=code)


def test_guessing_codes_with_a_known_password_is_slowed_and_spares_the_owner_s_access_key(
    fresh: Any, door: Attacker
) -> None:
    phone = enabled(fresh, door.aws, "ada")
    ada = door.aws.using(door.aws.iam.create_access_key(UserName="ada"))
    codes = []
    for number, seconds in enumerate((0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 0, 0, 0)):
        fresh.advance(seconds=seconds)
        codes.append(door.code(password=PASSWORD, MfaCode=phone.wrong(), address=f"127.0.4.{number}"))
    assert codes == [FAILED] * 10 + [WAIT] * 3
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())


def test_nobody_makes_another_wait_for_codes_without_the_password(fresh: Any, door: Attacker) -> None:
    phone = enabled(fresh, door.aws, "ada")
    for number in range(12):
        door.code(MfaCode=phone.wrong(), address=f"127.0.5.{number}")
    assert door.code(password=PASSWORD, MfaCode=phone.code(), address="127.0.0.9") == "in"


NONSENSE: list[Any] = [
    {},
    {"Account": "x"},
    {"Account": "a/b", "Password": "x"},
    {"Account": "1" * 64, "Password": "x"},
    {"Account": "999999999999", "Password": "x" * 129},
    {"Account": "999999999999", "Password": "日本"},
    {"Account": "999999999999", "Password": ["x"]},
    {"Account": "999999999999", "Password": "x", "MfaCode": "12345"},
    {"Account": "999999999999", "Password": "x", "UserName": "u" * 129},
    b"not json",
    b'{"Account": "999999999999", "Password": "\\ud800"}',
]


@pytest.mark.parametrize("body", NONSENSE, ids=repr)
def test_nonsense_is_refused_and_not_repeated(server: Any, aws: Any, body: Any) -> None:
    status, answer = Attacker(aws).ask(body)
    assert status in (400, 403), answer
    said = json.dumps(answer)
    assert "x" * 129 not in said
    assert "u" * 129 not in said
    assert "日本" not in said


def test_a_user_name_that_is_a_password_is_not_in_the_trail(server: Any, aws: Any) -> None:
    secret = "My-Secret-Passw0rd"
    assert Attacker(aws).code(secret, "ada") == FAILED
    assert secret.encode() not in trail_of(aws)


def test_a_name_with_odd_characters_is_an_unknown_one(server: Any, aws: Any) -> None:
    for name in ("\0", "a\nb", "../root", "é" * 20, "<script>", "*"):
        assert Attacker(aws).code(name) == FAILED


def test_no_secret_of_signing_in_is_in_the_trail_the_log_or_a_file(fresh: Any) -> None:
    aws = fresh.new_account()
    hidden: dict[str, list[bytes]] = {}

    def hide(name: str, value: str | bytes) -> None:
        hidden[name] = spellings(value)

    first, second = "Zx9-First-Passw0rd-Zx9", "Qy8-Second-Passw0rd-Qy8"
    hide("password", first)
    hide("new password", second)
    aws.iam.create_user(UserName="ada")
    aws.iam.create_login_profile(UserName="ada", Password=first)
    aws.iam.put_user_policy(
        UserName="ada",
        PolicyName="p",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}',
    )
    device = aws.iam.create_virtual_mfa_device(VirtualMFADeviceName="spare")["VirtualMFADevice"]
    hide("seed", device["Base32StringSeed"])
    hide("seed itself", base64.b32decode(device["Base32StringSeed"]))
    hide("picture", device["QRCodePNG"])
    ada = aws.using(aws.iam.create_access_key(UserName="ada"))
    ada.iam.change_password(OldPassword=first, NewPassword=second)
    for old, new in ((first, "short"), ("wrong", second)):
        with suppress(ClientError):
            ada.iam.change_password(OldPassword=old, NewPassword=new)
    phone = enabled(fresh, aws, "ada")
    anyone = aws.client("freehold")
    asked = {"Account": aws.account_id, "UserName": "ada"}
    with suppress(ClientError):
        anyone.sign_in(**asked, Password=first)
    code = phone.code()
    with suppress(ClientError):
        anyone.sign_in(**asked, Password=second, MfaCode=phone.wrong())
    answer = anyone.sign_in(**asked, Password=second, MfaCode=code)
    for name in ("SecretAccessKey", "SessionToken"):
        hide(name, answer["Credentials"][name])
    hide("device token", answer["DeviceToken"])
    role = aws.iam.create_role(
        RoleName="r",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"AWS": aws.account_id},
                },
            }
        ),
    )["Role"]["Arn"]
    aws.iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    session = ada.using(ada.sts.assume_role(RoleArn=role, RoleSessionName="ada"))
    token = session.freehold.get_signin_token()["SigninToken"]
    hide("sign-in token", token)
    console = anyone.sign_in_with_token(SigninToken=token)
    hide("console secret", console["Credentials"]["SecretAccessKey"])
    aws.iam.generate_credential_report()
    trail = trail_of(aws) + aws.iam.get_credential_report()["Content"] + fresh.log().encode()
    command = Path(f"/proc/{fresh.pid}/cmdline").read_bytes()
    fresh.stop()
    files = b"".join(path.read_bytes() for path in fresh.data.rglob("*") if path.is_file())
    found = [
        (name, where)
        for name, forms in hidden.items()
        for where, text in (("trail", trail), ("files", files), ("argv", command))
        if any(form in text for form in forms)
    ]
    assert found == []
    assert b"$argon2id$" not in files
    assert f'"{code}"'.encode() not in trail
    fresh.start()


def test_only_a_console_session_s_holder_signs_it_out(fresh: Any, door: Attacker) -> None:
    answer = door.ask({"Account": door.aws.account_id, "UserName": "ada", "Password": PASSWORD})[1]
    ada = door.aws.using(answer)
    status, refused = door.ask({}, **{"x-amz-target": "Freehold.SignOut"})
    assert (status, refused["__type"].rpartition("#")[2]) == (400, "MissingAuthenticationTokenException")
    assert ada.sts.get_caller_identity()
