"""`freehold unseal` and `freehold seal`: a server whose root key is in people's hands."""

from __future__ import annotations

from typing import Any

from freehold.cli import custody as cli_custody
from freehold.cli.account import CaBundle, Endpoint, Json, Profile
from freehold.cli.custody import SecretFd, SecretFile
from freehold.cli.output import print_json, say


def unseal(
    endpoint: Endpoint,
    ca_bundle: CaBundle = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    as_json: Json = False,
) -> None:
    """Give a sealed server one share of its root key, or its passphrase.

    It is asked for on the terminal, or read from the standard input, a file (0600) or a descriptor; never from the
    command line. Needs no AWS credentials. Exit status 0 once it was accepted, also when more shares are needed.

    \b
    Examples:
      freehold unseal --endpoint https://freehold.example:4600
      pass freehold/share | freehold unseal --endpoint http://127.0.0.1:4600
    """
    from freehold.cli.operator_client import called, operator_client

    client = operator_client(endpoint, verify=ca_bundle, signed=False)
    status = called(client.get_seal_status)
    if status["Sealed"]:
        by_share = status["Custody"] == "shamir"
        what = f"share {status['Progress'] + 1} of {status['Threshold']}" if by_share else "the passphrase"
        given = cli_custody.secret(what, secret_file, secret_fd)
        status = called(client.unseal, **{"Share" if by_share else "Passphrase": given})
    elif not as_json:
        say("The server was not sealed.")
        return
    if as_json:
        print_json(shown(status))
    else:
        say(in_words(status))


def seal(endpoint: Endpoint, profile: Profile = None, ca_bundle: CaBundle = None) -> None:
    """Have a server forget its root key until it is unsealed (operator).

    Example: freehold seal --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    called(operator_client(endpoint, profile=profile, verify=ca_bundle).seal)
    say("The server answers what it is doing, and is sealed then.")


def shown(status: dict[str, Any]) -> dict[str, Any]:
    """A seal status for programs."""
    found: dict[str, Any] = {"sealed": status["Sealed"]}
    for name in ("Custody", "Progress", "Threshold", "Shares"):
        if name in status:
            found[name.lower()] = status[name]
    return found


def in_words(status: dict[str, Any]) -> str:
    if not status["Sealed"]:
        return "The server is unsealed."
    if "Threshold" in status:
        return f"The server is sealed: {status['Progress']} of {status['Threshold']} shares were given."
    return f"The server is sealed: it waits for its {status['Custody']}."
