"""The instance metadata service (IMDSv2): what gives a workload the credentials of its role without any keys.

A process of its own beside the workload, as on AWS it is beside the instance. It holds the operator's keys, which is
why it must run where the workload cannot read its memory, environment or files. Uses nothing of the server's parts.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""
