"""Organizations: accounts under one management account, and the policies that limit them.

https://docs.aws.amazon.com/organizations/latest/APIReference/Welcome.html
"""

NOT_IMPLEMENTED: dict[str, str] = {}
"""Operation -> why it isn't."""
