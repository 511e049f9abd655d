"""GetOpenIdToken and GetCredentialsForIdentity: what an identity gets for its logins. Both are public.

Credentials (the enhanced flow) are a role's, chosen by the pool; its trust policy decides with the identity's claims,
as for AssumeRoleWithWebIdentity, to which the token of the basic flow is handed. What is refused there is told as a
pool that is not rightly configured: anyone may ask, and a trust policy is not theirs to read.
https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flow.html
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html
"""

from __future__ import annotations

import json
from typing import Final

from freehold.authorization.permission import Permission
from freehold.errors import AwsError
from freehold.services.call import Call
from freehold.services.cognito_identity import asking, logins, providers, role_choice, tokens
from freehold.services.cognito_identity.asking import Asked
from freehold.services.cognito_identity.errors import InvalidIdentityPoolConfiguration, NotAuthorized
from freehold.services.cognito_identity.identities import public
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import federated, role_sessions
from freehold.services.sts.federated import Vouched

SESSION_NAME: Final = "CognitoIdentityCredentials"
SESSION_SECONDS: Final = 3600

GUEST_POLICY_ARN: Final = "arn:aws:iam::aws:policy/AmazonCognitoUnAuthedIdentitiesSessionPolicy"
_FOR_GUESTS: Final = (
    "appsync", "cloudwatch", "codewhisperer", "cognito-identity", "cognito-idp", "cognito-sync", "dynamodb",
    "execute-api", "gamelift", "iot", "kinesisanalytics", "lambda", "lex", "logs", "machinelearning",
    "mobileanalytics", "s3", "sdb", "ses", "sns", "sqs",
)  # fmt: skip
GUEST_POLICY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    *(f"{service}:*" for service in _FOR_GUESTS),
                    *("sumerian:View*", "textract:AnalyzeDocument", "textract:DetectDocumentText"),
                ],
                "Resource": "*",
            }
        ],
    },
    separators=(",", ":"),
)
"""What guests may do at most in the enhanced flow, together with the managed policy of their name.
https://docs.aws.amazon.com/cognito/latest/developerguide/iam-roles.html#access-policies-unauthenticated"""


async def _ask_token(call: Call, params: Params) -> None:
    pool, identity = asking.identity_asked(call, params["IdentityId"])
    given = params.get("Logins") or {}
    if providers.OWN in given:
        raise NotAuthorized("Invalid login token. Can't pass in a Cognito token.")
    if not pool.allow_classic:
        raise NotAuthorized("Basic (classic) flow is not enabled, please use enhanced flow.")
    call.prepared = await asking.by_logins(call, pool, identity, given)


async def _sign_token(call: Call, params: Params) -> None:
    asked: Asked = call.prepared
    plan = asked.plan
    token = await tokens.signed(
        call.app, asked.pool.pool_id, plan.identity_id, asked.amr, asked.tags, tokens.LIFETIME_SECONDS
    )
    call.prepared = (asked, token)


@operation(
    "cognito-identity.GetOpenIdToken",
    permissions=public,
    identify=_ask_token,
    prepare=_sign_token,
    writes=True,
    anonymous=True,
)
def get_open_id_token(call: Call, params: Params) -> Result:
    """A token for 10 minutes, in pools that allow the basic flow. The identity is another than the one asked for
    where a guest signs in with a login that has one.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdToken.html
    """
    asked, token = call.prepared
    asking.use(call, asked)
    return {"IdentityId": asked.plan.identity_id, "Token": token}


async def _ask_credentials(call: Call, params: Params) -> None:
    pool, identity = asking.identity_asked(call, params["IdentityId"])
    call.prepared = await asking.by_logins(call, pool, identity, params.get("Logins") or {})


def _trusted(call: Call, params: Params) -> list[Permission]:
    """sts:AssumeRoleWithWebIdentity on the role that the pool chooses, with tags sts:TagSession as well: asked here,
    since a refusal is the pool's configuration to its callers."""
    asked: Asked = call.prepared
    pool = asked.pool
    role_arn = role_choice.choose(
        pool.roles,
        logins.mappings(pool, asked.logins),
        authenticated=asked.authenticated,
        custom=params.get("CustomRoleArn"),
    )
    identity_id = asked.plan.identity_id
    keys = tokens.context(pool.pool_id, identity_id, asked.amr)
    vouched = Vouched(
        provider=providers.OWN,
        unique_id=f"{providers.OWN}:{pool.pool_id}:{identity_id}",
        session_name=SESSION_NAME,
        context=keys,
        kept={**keys, "aws:federatedprovider": providers.OWN},
        tags=asked.tags,
    )
    try:
        if role_sessions.account_of_role(role_arn) != pool.account_id:
            raise InvalidIdentityPoolConfiguration()
        needed = federated.permissions(call, "sts:AssumeRoleWithWebIdentity", role_arn, vouched)
    except AwsError:
        raise InvalidIdentityPoolConfiguration() from None
    for permission in needed:
        if call.may(permission).result != "allow":
            raise InvalidIdentityPoolConfiguration()
    call.prepared = (asked, call.prepared)
    return []


@operation(
    "cognito-identity.GetCredentialsForIdentity",
    permissions=_trusted,
    identify=_ask_credentials,
    writes=True,
    anonymous=True,
)
def get_credentials_for_identity(call: Call, params: Params) -> Result:
    """Credentials for an hour. `CustomRoleArn` is one of the roles that the login's claims are mapped to.

    Guests are limited by a session policy, whatever the role allows.
    """
    asked, call.prepared = call.prepared
    asking.use(call, asked)
    session: Params = {"DurationSeconds": SESSION_SECONDS}
    if not asked.authenticated:
        session |= {"Policy": GUEST_POLICY, "PolicyArns": [{"arn": GUEST_POLICY_ARN}]}
    given = federated.assume(call, session)["Credentials"]
    return {
        "IdentityId": asked.plan.identity_id,
        "Credentials": {
            "AccessKeyId": given["AccessKeyId"],
            "SecretKey": given["SecretAccessKey"],
            "SessionToken": given["SessionToken"],
            "Expiration": given["Expiration"],
        },
    }
