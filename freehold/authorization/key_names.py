"""Condition keys as AWS's documentation spells them: the decision has them in lower case, people don't.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from typing import Final

_SPELLED: Final = """
aws:AssumedRoot aws:Ec2InstanceSourcePrivateIPv4 aws:Ec2InstanceSourceVpc ec2:RoleDelivery ec2:SourceInstanceArn
aws:CalledVia aws:CalledViaFirst aws:CalledViaLast aws:CurrentTime aws:EpochTime aws:FederatedProvider
aws:MultiFactorAuthAge aws:MultiFactorAuthPresent aws:PrincipalAccount aws:PrincipalArn aws:PrincipalIsAWSService
aws:PrincipalOrgID aws:PrincipalOrgPaths aws:PrincipalServiceName aws:PrincipalServiceNamesList aws:PrincipalType
aws:RequestedRegion aws:ResourceAccount aws:ResourceOrgID aws:ResourceOrgPaths aws:SecureTransport aws:SourceAccount
aws:SourceArn aws:SourceIdentity aws:SourceIp aws:SourceOrgID aws:SourceOrgPaths aws:SourceVpc aws:SourceVpce
aws:SourceVpcArn aws:TagKeys aws:TokenIssueTime aws:UserAgent aws:ViaAWSService aws:VpcSourceIp aws:referer aws:userid
aws:username iam:PassedToService iam:PermissionsBoundary iam:PolicyARN iam:AWSServiceName iam:OrganizationsPolicyId
iam:AssociatedResourceArn iam:FIDO-certification iam:FIDO-FIPS-140-2-certification iam:RegisterSecurityKey
kms:CallerAccount kms:EncryptionContextKeys kms:GrantIsForAWSResource kms:GranteePrincipal kms:KeyOrigin kms:KeySpec
kms:KeyUsage kms:MultiRegion kms:RequestAlias kms:ResourceAliases kms:ViaService kms:EncryptionAlgorithm
kms:BypassPolicyLockoutSafetyCheck kms:GrantOperations kms:GrantConstraintType kms:RetiringPrincipal
kms:CustomerMasterKeySpec kms:CustomerMasterKeyUsage kms:DataKeyPairSpec kms:ExpirationModel kms:KeyAgreementAlgorithm
kms:MacAlgorithm kms:MessageType kms:MultiRegionKeyType kms:PrimaryRegion kms:ReplicaRegion kms:ReEncryptOnSameKey
kms:RotationPeriodInDays kms:ScheduleKeyDeletionPendingWindowInDays kms:SigningAlgorithm kms:ValidTo
kms:WrappingAlgorithm kms:WrappingKeySpec kms:GrantConstraintSourceArn kms:GranteeServicePrincipal
kms:RetiringServicePrincipal kms:PolicyName
s3:authType s3:ResourceAccount s3:signatureAge s3:signatureversion s3:VersionId s3:TlsVersion
sts:AWSServiceName sts:DurationSeconds sts:ExternalId sts:RoleSessionName sts:SourceIdentity sts:TransitiveTagKeys
sts:IdentityTokenAudience sts:SigningAlgorithm sts:TaskPolicyArn
freehold:XksAwsPrincipalArn freehold:XksAwsSourceVpc freehold:XksAwsSourceVpce freehold:XksKmsKeyArn
freehold:XksKmsOperation freehold:XksKmsViaService
"""

_BY_KEY: Final = {name.lower(): name for name in _SPELLED.split()}
_PREFIXES: Final = {
    name.lower(): name
    for name in (
        *("aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/", "iam:ResourceTag/"),
        *("s3:ExistingObjectTag/", "s3:RequestObjectTag/", "kms:EncryptionContext:"),
    )
}


def spelled(key: str) -> str:
    """`aws:SourceIp` for `aws:sourceip`; a key that isn't known stays as it is."""
    found = _BY_KEY.get(key)
    if found is not None:
        return found
    for lower, name in _PREFIXES.items():
        if key.startswith(lower):
            return name + key[len(lower) :]
    return key
