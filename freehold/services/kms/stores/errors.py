"""What goes wrong with a key store, and how each operation says it: one row a problem.

Managing a store, making a key in it and connecting it have errors of their own; every use of a key answers with
KMSInvalidStateException, whose message tells the problems apart.
https://docs.aws.amazon.com/kms/latest/developerguide/xks-troubleshooting.html
https://docs.aws.amazon.com/kms/latest/developerguide/fix-keystore.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freehold.errors import AwsError, aws_error
from freehold.services.kms.errors import InvalidState

ClusterInUse = aws_error("CloudHsmClusterInUseException", 400)
ClusterNotActive = aws_error("CloudHsmClusterNotActiveException", 400)
ClusterNotFound = aws_error("CloudHsmClusterNotFoundException", 400)
ClusterNotRelated = aws_error("CloudHsmClusterNotRelatedException", 400)
HasKeys = aws_error("CustomKeyStoreHasCMKsException", 400)
StoreInvalidState = aws_error("CustomKeyStoreInvalidStateException", 400)
NameInUse = aws_error("CustomKeyStoreNameInUseException", 400)
StoreNotFound = aws_error("CustomKeyStoreNotFoundException", 400)
DependencyTimeout = aws_error("DependencyTimeoutException", 503)
IncorrectTrustAnchor = aws_error("IncorrectTrustAnchorException", 400)
ExternalKeyInUse = aws_error("XksKeyAlreadyInUseException", 400)
ExternalKeyNotFound = aws_error("XksKeyNotFoundException", 400)
ExternalKeyInvalid = aws_error("XksKeyInvalidConfigurationException", 400)
ProxyCredential = aws_error("XksProxyIncorrectAuthenticationCredentialException", 400)
ProxyInvalid = aws_error("XksProxyInvalidConfigurationException", 400)
ProxyResponse = aws_error("XksProxyInvalidResponseException", 400)
ProxyUriInUse = aws_error("XksProxyUriInUseException", 400)
ProxyUnreachable = aws_error("XksProxyUriUnreachableException", 400)
EndpointServiceNotFound = aws_error("XksProxyVpcEndpointServiceNotFoundException", 400)


@dataclass(frozen=True, slots=True)
class Row:
    connection: str
    """The ConnectionErrorCode of a store that fails to connect because of it."""
    managing: type[AwsError]
    """CreateCustomKeyStore and UpdateCustomKeyStore."""
    creating: type[AwsError]
    """CreateKey."""
    message: str


class StoreProblem(Exception):
    """Why a store can't do what it was asked. `kind` is a row of PROBLEMS; holds nothing that the store said."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    @property
    def row(self) -> Row:
        return PROBLEMS[self.kind]

    def managing(self) -> AwsError:
        return self.row.managing(self.row.message)

    def creating(self) -> AwsError:
        return self.row.creating(self.row.message)

    def using(self) -> AwsError:
        return InvalidState(self.row.message)


NOT_CONNECTED: Final = (
    "This KMS key is in a custom key store that is not connected. Connect the custom key store and try the request "
    "again."
)
_AGAIN: Final = "If you see this error repeatedly, report it to your external key store proxy administrator."

PROBLEMS: Final[dict[str, Row]] = {
    # Tokens.
    "token missing": Row(
        "INSUFFICIENT_CLOUDHSM_HSMS",
        ClusterNotActive,
        StoreInvalidState,
        "No active HSM was found in the cluster of the custom key store.",
    ),
    "token replaced": Row(
        "CLUSTER_NOT_FOUND",
        ClusterNotActive,
        StoreInvalidState,
        "The HSM that answers is not the one that the custom key store was connected to before.",
    ),
    "token unconfigured": Row(
        "CLUSTER_NOT_FOUND", ClusterNotFound, StoreInvalidState, "The cluster of the custom key store was not found."
    ),
    "pin wrong": Row(
        "INVALID_CREDENTIALS",
        StoreInvalidState,
        StoreInvalidState,
        "The KeyStorePassword of the custom key store is not that of the cluster. Disconnect the key store, update the "
        "password, and connect it again.",
    ),
    "pin locked": Row(
        "USER_LOCKED_OUT", StoreInvalidState, StoreInvalidState, "The user of the custom key store is locked out."
    ),
    "user missing": Row(
        "USER_NOT_FOUND", StoreInvalidState, StoreInvalidState, "The cluster has no user for the custom key store."
    ),
    "user elsewhere": Row(
        "USER_LOGGED_IN", StoreInvalidState, StoreInvalidState, "Another user is logged in to the cluster."
    ),
    "device": Row(
        "NETWORK_ERRORS",
        ClusterNotActive,
        StoreInvalidState,
        "The cluster of the custom key store does not answer as it should. Verify that it is active, and retry.",
    ),
    "library": Row(
        "INTERNAL_ERROR", ClusterNotActive, StoreInvalidState, "The library of the cluster can't be loaded."
    ),
    "disconnected": Row("INTERNAL_ERROR", StoreInvalidState, StoreInvalidState, NOT_CONNECTED),
    "key missing": Row(
        "INTERNAL_ERROR",
        StoreInvalidState,
        StoreInvalidState,
        "The key material of this KMS key is not in the cluster of its custom key store.",
    ),
    "key exposed": Row(
        "INTERNAL_ERROR",
        StoreInvalidState,
        StoreInvalidState,
        "The cluster does not keep the key material of this KMS key inside; it is not used.",
    ),
    # External key store proxies.
    "ValidationException": Row(
        "XKS_PROXY_INVALID_RESPONSE",
        ProxyResponse,
        StoreInvalidState,
        f"AWS KMS cannot interpret the response from the external key store proxy. {_AGAIN}",
    ),
    "InvalidStateException": Row(
        "XKS_PROXY_INVALID_CONFIGURATION",
        ProxyInvalid,
        ExternalKeyInvalid,
        "The external key associated with this KMS key in an external key store is not enabled in the external key "
        "manager. Enable the external key there and retry the request.",
    ),
    "InvalidCiphertextException": Row(
        "XKS_PROXY_INVALID_RESPONSE",
        ProxyResponse,
        StoreInvalidState,
        "The external key store proxy rejected the request because the specified ciphertext or encryption context is "
        "corrupted, missing, or otherwise invalid.",
    ),
    "InvalidKeyUsageException": Row(
        "XKS_PROXY_INVALID_CONFIGURATION",
        ProxyInvalid,
        ExternalKeyInvalid,
        "The external key associated with this KMS key in an external key store does not support the requested "
        "operation. Enable the operation on the key in your external key manager, and try the request again.",
    ),
    "AuthenticationFailedException": Row(
        "INVALID_CREDENTIALS",
        ProxyCredential,
        StoreInvalidState,
        "The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the XKS "
        "proxy authentication credentials for your external key store and update if necessary.",
    ),
    "AccessDeniedException": Row(
        "XKS_PROXY_ACCESS_DENIED",
        ProxyInvalid,
        InvalidState,
        "The external key store proxy denied access to the operation. Verify that the user and the external key are "
        "both authorized for this operation, and try the request again.",
    ),
    "KeyNotFoundException": Row(
        "XKS_PROXY_INVALID_CONFIGURATION",
        ProxyInvalid,
        ExternalKeyNotFound,
        "The external key associated with this KMS key in an external key store was not found in its external key "
        "manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the "
        "correct external key ID.",
    ),
    "InvalidUriPathException": Row(
        "XKS_PROXY_INVALID_CONFIGURATION",
        ProxyInvalid,
        StoreInvalidState,
        "The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for "
        "your external key store and update if necessary.",
    ),
    "UnsupportedOperationException": Row(
        "XKS_PROXY_INVALID_RESPONSE",
        ProxyResponse,
        StoreInvalidState,
        f"The external key store proxy rejected the request because it does not support the requested operation. "
        f"{_AGAIN}",
    ),
    "DependencyTimeoutException": Row(
        "XKS_PROXY_TIMED_OUT",
        ProxyUnreachable,
        StoreInvalidState,
        f"The external key store proxy did not respond to the request in the time allotted. Retry the request. "
        f"{_AGAIN}",
    ),
    "ThrottlingException": Row(
        "XKS_PROXY_NOT_REACHABLE",
        ProxyUnreachable,
        StoreInvalidState,
        "The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of "
        "your calls using KMS keys in this external key store.",
    ),
    "InternalException": Row(
        "XKS_PROXY_NOT_REACHABLE",
        ProxyResponse,
        StoreInvalidState,
        "The external key store proxy rejected the request because it cannot communicate with the external key manager."
        " Verify that the external key store proxy configuration is correct and that the external key manager is "
        "available.",
    ),
    "unreachable": Row(
        "XKS_PROXY_NOT_REACHABLE",
        ProxyUnreachable,
        StoreInvalidState,
        "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you "
        "see this error repeatedly, verify that your external key store proxy is active and is connected to the "
        "network, and that its endpoint URI is correct in your external key store.",
    ),
    "tls": Row(
        "XKS_PROXY_INVALID_TLS_CONFIGURATION",
        ProxyUnreachable,
        StoreInvalidState,
        "AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, "
        "including its certificate.",
    ),
    "timeout": Row(
        "XKS_PROXY_TIMED_OUT",
        ProxyUnreachable,
        StoreInvalidState,
        f"AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request."
        f" {_AGAIN}",
    ),
    "malformed": Row(
        "XKS_PROXY_INVALID_RESPONSE",
        ProxyResponse,
        StoreInvalidState,
        f"AWS KMS cannot interpret the response from the external key store proxy. {_AGAIN}",
    ),
    "unavailable": Row(
        "XKS_PROXY_NOT_REACHABLE",
        ProxyUnreachable,
        StoreInvalidState,
        "All instances of the external key manager behind the external key store proxy are unavailable.",
    ),
    "key unfit": Row(
        "XKS_PROXY_INVALID_CONFIGURATION",
        ProxyInvalid,
        ExternalKeyInvalid,
        "The external key does not meet the requirements of an external key store: an AES_256 key that is enabled and "
        "may be used to ENCRYPT and DECRYPT.",
    ),
}
"""A proxy's own errors have the names of the XKS Proxy API.

https://github.com/aws/aws-kms-xksproxy-api-spec
"""
