"""`freehold account`: customer accounts, through the operator's operations of a running server."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.output import print_json, say

app = typer.Typer(help="Customer accounts (operator).", no_args_is_help=True)

Endpoint = Annotated[str, typer.Option(help="The server's endpoint, e.g. http://127.0.0.1:4600", metavar="URL")]
Profile = Annotated[str | None, typer.Option(help="AWS profile with the operator's keys.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
CaBundle = Annotated[str | None, typer.Option(help="PEM file to verify an https endpoint with.", metavar="FILE")]


@app.command("create")
def create(
    name: str, endpoint: Endpoint, profile: Profile = None, ca_bundle: CaBundle = None, as_json: Json = False
) -> None:
    """Create a customer account and print its root user's access key, once.

    Signs with the operator's keys from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or from --profile.

    Example: freehold account create production --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    made = called(client.create_account, Name=name)
    account_id, key = made["Account"]["AccountId"], made["RootAccessKey"]
    if as_json:
        print_json(
            {
                "account_id": account_id,
                "access_key_id": key["AccessKeyId"],
                "secret_access_key": key["SecretAccessKey"],
            }
        )
        return
    say(f"Account [bold]{account_id}[/bold] ({name}). The root user's key is shown this once:")
    say(f"  access key id      {key['AccessKeyId']}")
    say(f"  secret access key  {key['SecretAccessKey']}")


@app.command("list")
def list_accounts(
    endpoint: Endpoint, profile: Profile = None, ca_bundle: CaBundle = None, as_json: Json = False
) -> None:
    """List the customer accounts.

    Example: freehold account list --endpoint http://127.0.0.1:4600 --profile freehold-operator --json
    """
    from freehold.cli.operator_client import called, operator_client

    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    found: list[dict[str, str]] = []
    token: dict[str, str] = {}
    while True:
        page = called(client.list_accounts, **token)
        found.extend(
            {"account_id": each["AccountId"], "name": each["Name"], "created_at": each["CreatedAt"].isoformat()}
            for each in page["Accounts"]
        )
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    if as_json:
        print_json(found)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Account", "Name", "Created")
    for each in found:
        table.add_row(each["account_id"], each["name"], each["created_at"])
    Console().print(table)
