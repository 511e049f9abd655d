"""`server.as_service`: a role's session as the service has it that the role is for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

EC2 = "ec2.amazonaws.com"


def test_a_service_gets_the_roles_that_trust_it_for_what_it_acts_for(freehold_server: Any, aws: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": EC2},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": aws.account_id}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = aws.iam.create_role(RoleName="web", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    instance = f"arn:aws:ec2:us-east-1:{aws.account_id}:instance/i-0123456789abcdef0"
    session = freehold_server.as_service(EC2, arn, source_arn=instance, source_account=aws.account_id)
    assert session.sts.get_caller_identity()["Arn"] == f"arn:aws:sts::{aws.account_id}:assumed-role/web/test"
    assert session.account_id == aws.account_id
    for service, account in (("rds.amazonaws.com", aws.account_id), (EC2, "999999999999"), (EC2, "")):
        with pytest.raises(ClientError) as refused:
            freehold_server.as_service(service, arn, source_account=account)
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
