"""The errors that protocols raise themselves, before any handler is reached. Codes and statuses are AWS's.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from freehold.errors import aws_error

# The json protocols
SerializationException = aws_error("SerializationException", 400)
UnknownOperationException = aws_error("UnknownOperationException", 400)

# The query protocol
InvalidAction = aws_error("InvalidAction", 400)
MissingAction = aws_error("MissingAction", 400, "The request is missing an action or a required parameter.")
MalformedInput = aws_error("MalformedInput", 400)
MalformedQueryString = aws_error("MalformedQueryString", 404, "The query string contains a syntax error.")
ValidationError = aws_error("ValidationError", 400)

# S3
InvalidArgument = aws_error("InvalidArgument", 400, "Invalid Argument")
InvalidRequest = aws_error("InvalidRequest", 400, "Invalid Request")
InvalidStorageClass = aws_error("InvalidStorageClass", 400, "The storage class you specified is not valid")
InvalidUri = aws_error("InvalidURI", 400, "Couldn't parse the specified URI.")
MalformedXml = aws_error(
    "MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema"
)
MethodNotAllowed = aws_error("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
MissingRequestBody = aws_error("MissingRequestBodyError", 400, "Request Body is empty")
