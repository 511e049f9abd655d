"""A virtual MFA device as a phone is one: shows the codes of its seed at a server's time."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

STEP = 30


class Phone:
    """`device`: what CreateVirtualMFADevice answered. `ahead_seconds`: how far its clock is off."""

    def __init__(self, server: Any, device: dict[str, Any], ahead_seconds: int = 0) -> None:
        self.serial: str = device["SerialNumber"]
        self._server = server
        self._codes = HOTP(base64.b32decode(device["Base32StringSeed"]), 6, SHA1())
        self.ahead_seconds = ahead_seconds

    def code(self, later: int = 0) -> str:
        """The code that it shows so many steps from now."""
        now = self._server.operator.freehold.get_server_status()["Now"].timestamp() + self.ahead_seconds
        return self._codes.generate(int(now) // STEP + later).decode()

    def two(self) -> dict[str, str]:
        """Two codes in a row, as EnableMFADevice and ResyncMFADevice take them: the latest two."""
        return {"AuthenticationCode1": self.code(-1), "AuthenticationCode2": self.code()}

    def wrong(self) -> str:
        """A code that it shows at no time near now."""
        near = {self.code(later) for later in range(-3, 4)}
        return next(f"{number:06}" for number in range(10) if f"{number:06}" not in near)

    def wait(self) -> None:
        """Until codes are shown that none of the past ones was."""
        self._server.advance(seconds=3 * STEP)


def enabled(server: Any, aws: Any, user: str, name: str = "", **more: Any) -> Phone:
    """A new device that is `user`'s."""
    device = aws.iam.create_virtual_mfa_device(VirtualMFADeviceName=name or user)["VirtualMFADevice"]
    phone = Phone(server, device, **more)
    aws.iam.enable_mfa_device(UserName=user, SerialNumber=phone.serial, **phone.two())
    phone.wait()
    return phone
