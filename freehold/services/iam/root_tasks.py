"""What a session of AssumeRoot may be for: AWS's task policies, and the feature of an organization that each needs.

A task policy only denies: what it leaves, the root user may. So it takes part as an identity-based policy beside the
root user's own permissions, not as a session policy, which would have to allow.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user-privileged-task.html
"""

from __future__ import annotations

from typing import Final

CREDENTIALS: Final = "RootCredentialsManagement"
SESSIONS: Final = "RootSessions"
FEATURES: Final = (CREDENTIALS, SESSIONS)

_PATH: Final = "arn:aws:iam::aws:policy/root-task/"
FEATURE_OF: Final = {
    f"{_PATH}IAMAuditRootUserCredentials": CREDENTIALS,
    f"{_PATH}IAMCreateRootUserPassword": CREDENTIALS,
    f"{_PATH}IAMDeleteRootUserCredentials": CREDENTIALS,
    f"{_PATH}S3UnlockBucketPolicy": SESSIONS,
    f"{_PATH}SQSUnlockQueuePolicy": SESSIONS,
}
"""The feature by the task policy's ARN. Nothing else can be a session's task."""
