"""IAM Toolbox: what decided about a request, looked up by the authorization id that its refusal named.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

NOT_IMPLEMENTED: dict[str, str] = {}
"""Operation -> why it isn't."""
