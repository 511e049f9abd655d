"""IAM's errors. Codes, statuses and messages are AWS's.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from freehold.errors import aws_error

ConcurrentModification = aws_error(
    "ConcurrentModification",
    409,
    "The request was rejected because multiple requests to change this object were submitted simultaneously. "
    "Wait a few minutes and submit your request again.",
)
DeleteConflict = aws_error("DeleteConflict", 409)
DuplicateCertificate = aws_error("DuplicateCertificate", 409)
DuplicateSSHPublicKey = aws_error("DuplicateSSHPublicKey", 400)
EntityAlreadyExists = aws_error("EntityAlreadyExists", 409)
InvalidClientTokenId = aws_error("InvalidClientTokenId", 403, "The security token included in the request is invalid.")
InvalidInput = aws_error("InvalidInput", 400)
InvalidPublicKey = aws_error("InvalidPublicKey", 400)
KeyPairMismatch = aws_error("KeyPairMismatch", 400)
InvalidAuthenticationCode = aws_error("InvalidAuthenticationCode", 403)
InvalidUserType = aws_error("InvalidUserType", 400)
LimitExceeded = aws_error("LimitExceeded", 409)
MalformedCertificate = aws_error("MalformedCertificate", 400)
MalformedPolicyDocument = aws_error("MalformedPolicyDocument", 400)
NoSuchEntity = aws_error("NoSuchEntity", 404)
NotSupportedService = aws_error("NotSupportedService", 404)
PasswordPolicyViolation = aws_error("PasswordPolicyViolation", 400)
PolicyEvaluation = aws_error("PolicyEvaluation", 500)
PolicyNotAttachable = aws_error("PolicyNotAttachable", 400)
ReportExpired = aws_error(
    "ReportExpired",
    410,
    "The most recent credential report has expired. To generate a new one, call GenerateCredentialReport.",
)
ReportNotPresent = aws_error(
    "ReportNotPresent", 410, "There is no credential report. To generate one, call GenerateCredentialReport."
)
Throttling = aws_error("Throttling", 400)
UnrecognizedPublicKeyEncoding = aws_error("UnrecognizedPublicKeyEncoding", 400)
UnmodifiableEntity = aws_error("UnmodifiableEntity", 400)
ValidationError = aws_error("ValidationError", 400)
AccessDenied = aws_error("AccessDenied", 403)


def quota(name: str, limit: int) -> Exception:
    """The error of a default quota that is reached.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    return LimitExceeded(f"Cannot exceed quota for {name}: {limit}")
