"""Custom key stores: keys whose material is in an HSM, or whose use another key manager takes part in.

`records` what is kept of a store; `hsm` the tokens of stores of type AWS_CLOUDHSM, spoken to by `token_process` with
`pkcs11`; `xks` and `xks_client` the proxies of those of type EXTERNAL_KEY_STORE; `backends` what a key in a store is
used by; `threads` where that waits. Nothing here that talks to the outside is imported before a store is used.
"""
