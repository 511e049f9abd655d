"""A second evaluator, naive on purpose: raw documents, no compilation, nothing shared with `freehold.authorization`.

Written from AWS's documentation alone, in the order of its pages, for the case format of `freehold policy test`:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import re

STATEMENT_TYPES_WITHOUT_PRINCIPAL = ("identity", "boundary", "session", "scp")


def as_list(value):
    return value if isinstance(value, list) else [value]


def evaluate(case):
    """`allow`, `implicitDeny` or `explicitDeny`."""
    request = case["request"]
    policies = {
        "identity": [], "resource": None, "boundary": None, "session": [], "scps": [], "rcps": [], "kms_grants": [],
        "endpoint": None,
    } | {name: value for name, value in case.get("policies", {}).items() if value is not None}  # fmt: skip
    who = describe(request["principal"], request.get("role"))
    action = request["action"].lower()
    resource_account = case.get("account_of_resource") or account_in_arn(request["resource"]) or who["account"]
    context = derived_keys(who, resource_account)
    context.update({name.lower(): value for name, value in request.get("context", {}).items()})
    management = request.get("management_account", False)
    world = World(who, action, request["resource"], context, policies["boundary"] is not None)

    special = special_rules(who, action)
    if special is not None:
        return special

    scps = policies["scps"]
    if management or who["service_linked"] or not who["account"]:
        scps = []
    rcps = policies["rcps"]
    service = action.split(":")[0]
    if (
        who["service_linked"]
        or (management and resource_account == who["account"])
        or action == "kms:retiregrant"
        or service not in ("s3", "sts", "kms", "sqs", "secretsmanager", "dynamodb", "ecr", "logs", "aoss",
                           "cognito-idp", "cognito-identity")
    ):  # fmt: skip
        rcps = []
    attached = policies["resource"]
    root_keeps_bucket_policy = (
        who["kind"] == "root"
        and who["account"] == resource_account
        and action in ("s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy")
    )

    # Deny evaluation.
    everything = [policy for level in scps + rcps for policy in level] + policies["identity"] + policies["session"]
    if policies["boundary"] is not None:
        everything.append(policies["boundary"])
    if attached is not None and not root_keeps_bucket_policy:
        everything.append(attached)
    if policies["endpoint"] is not None:
        everything.append(policies["endpoint"])
    if any(denies(policy, world) for policy in everything):
        return "explicitDeny"

    # Organizations.
    for level in scps:
        if not any(allows(policy, world) for policy in level):
            return "implicitDeny"

    # A VPC endpoint's policy controls who can use the endpoint, and for what.
    if policies["endpoint"] is not None and not allows_naming(policies["endpoint"], world):
        return "implicitDeny"

    # Resource-based policies: how does an Allow name the caller?
    names, granted = set(), set()
    if service == "kms" and who["account"] and who["account"] != resource_account and action not in KMS_CROSS_ACCOUNT:
        pass
    else:
        if attached is not None:
            names |= allows_naming(attached, world)
        for grant in policies["kms_grants"] if service == "kms" else []:
            granted |= grant_names(grant, request["action"], who, request.get("context", {}))
        names |= granted

    if not who["account"]:
        return "allow" if "direct" in names else "implicitDeny"

    identity = who["kind"] == "root" or any(allows(policy, world) for policy in policies["identity"])
    boundary = policies["boundary"] is None or who["kind"] == "root" or allows(policies["boundary"], world)
    session = not policies["session"] or any(allows(policy, world) for policy in policies["session"])
    if who["kind"] == "federated-user" and not policies["session"]:
        session = False
    limits = boundary and session
    must_be_allowed_by_resource = service == "kms" or action in TRUST_ACTIONS
    if who["account"] == resource_account:
        if "direct" in names:
            return "allow"
        if "limited" in names:
            return "allow" if limits else "implicitDeny"
        if must_be_allowed_by_resource and "account" not in names:
            return "implicitDeny"
        return "allow" if identity and limits else "implicitDeny"
    if "direct" in granted or ("limited" in granted and limits):
        return "allow"
    return "allow" if names and identity and limits else "implicitDeny"


TRUST_ACTIONS = {"sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity", "sts:assumeroot",
                 "sts:tagsession", "sts:setsourceidentity", "sts:setcontext"}  # fmt: skip
KMS_CROSS_ACCOUNT = {
    "kms:creategrant", "kms:decrypt", "kms:derivesharedsecret", "kms:describekey", "kms:encrypt", "kms:generatedatakey",
    "kms:generatedatakeypair", "kms:generatedatakeypairwithoutplaintext", "kms:generatedatakeywithoutplaintext",
    "kms:generatemac", "kms:getkeyrotationstatus", "kms:getpublickey", "kms:listgrants", "kms:reencryptfrom",
    "kms:reencryptto", "kms:retiregrant", "kms:revokegrant", "kms:sign", "kms:verify", "kms:verifymac",
}  # fmt: skip


class World:
    def __init__(self, who, action, resource, context, has_boundary):
        self.who, self.action, self.resource, self.context = who, action, resource, context
        self.has_boundary = has_boundary


# --- who asks ---------------------------------------------------------------------------------------------------------


def describe(principal, role):
    who = {"kind": principal, "account": "", "arn": "", "own": set(), "behind": set(), "service_linked": False}
    if principal == "anonymous":
        return who
    if principal.startswith("service:"):
        return who | {"kind": "service", "name": principal[8:]}
    if principal.startswith("federated:"):
        return who | {"kind": "federated", "name": principal[10:]}
    fields = principal.split(":", 5)
    account, what = fields[4], fields[5]
    who |= {"account": account, "arn": principal}
    if what == "root":
        return who | {"kind": "root"}
    if what.startswith("user/"):
        return who | {"kind": "user", "own": {principal}, "name": what.split("/")[-1]}
    if what.startswith("federated-user/"):
        return who | {"kind": "federated-user", "own": {principal}}
    if what.startswith("role/"):
        return who | {"kind": "role", "behind": {principal}, "role": principal, "role_name": what.split("/")[-1]}
    name = what.split("/")[1]
    behind = role or f"arn:aws:iam::{account}:role/{name}"
    return who | {
        "kind": "role", "own": {principal}, "behind": {behind}, "role": behind, "role_name": name,
        "service_linked": ":role/aws-service-role/" in behind,
    }  # fmt: skip


def derived_keys(who, resource_account):
    keys = {"aws:principaltype": {"root": "Account", "user": "User", "role": "AssumedRole", "anonymous": "Anonymous",
                                  "federated-user": "FederatedUser"}.get(who["kind"])}  # fmt: skip
    if resource_account:
        keys["aws:resourceaccount"] = resource_account
    if who["kind"] == "anonymous":
        keys |= {"aws:principalaccount": "anonymous", "aws:userid": "anonymous"}
    elif who["kind"] == "service":
        keys |= {"aws:principalisawsservice": "true", "aws:principalservicename": who["name"],
                 "aws:principalservicenameslist": [who["name"]]}  # fmt: skip
    elif who["kind"] == "federated":
        keys |= {"aws:principalisawsservice": "false", "aws:federatedprovider": who["name"]}
    else:
        keys |= {"aws:principalisawsservice": "false", "aws:principalaccount": who["account"],
                 "kms:calleraccount": who["account"], "aws:principalarn": who.get("role", who["arn"])}  # fmt: skip
    if who["kind"] == "user":
        keys["aws:username"] = who["name"]
    if who["kind"] == "root":
        keys["aws:userid"] = who["account"]
    if who["kind"] == "federated-user":
        keys["aws:userid"] = who["account"] + ":" + who["arn"].split("/", 1)[1]
    return {name: value for name, value in keys.items() if value is not None}


def special_rules(who, action):
    if action == "sts:getcalleridentity" and who["account"]:
        return "allow"
    if who["kind"] == "federated-user" and action.split(":")[0] in ("iam", "sts"):
        return "implicitDeny"
    if action == "sts:getsessiontoken":
        return "allow" if who["kind"] in ("user", "root") else "implicitDeny"
    if who["kind"] == "root" and action == "sts:assumerole":
        return "implicitDeny"
    if who["kind"] == "role" and action == "sts:getfederationtoken":
        return "implicitDeny"
    return None


def account_in_arn(resource):
    fields = resource.split(":")
    return fields[4] if len(fields) > 5 and re.fullmatch("[0-9]{12}", fields[4]) else None


# --- statements -------------------------------------------------------------------------------------------------------


def statements(policy):
    return as_list(policy["Statement"])


def denies(policy, world):
    return any(
        statement["Effect"] == "Deny" and denied_principal(statement, world) and matches(policy, statement, world)
        for statement in statements(policy)
    )


def allows(policy, world):
    return any(statement["Effect"] == "Allow" and matches(policy, statement, world) for statement in statements(policy))


def allows_naming(policy, world):
    found = set()
    for statement in statements(policy):
        if statement["Effect"] == "Allow" and matches(policy, statement, world):
            found |= naming(statement["Principal"], world.who)
    return found


def matches(policy, statement, world):
    variables = policy.get("Version") == "2012-10-17"
    effect = statement["Effect"]
    if "Action" in statement:
        if not any(action_matches(one, world.action) for one in as_list(statement["Action"])):
            return False
    elif any(action_matches(one, world.action) for one in as_list(statement["NotAction"])):
        return False
    if "Resource" in statement:
        if True not in [resource_matches(one, world, variables) for one in as_list(statement["Resource"])]:
            return False
    elif "NotResource" in statement:
        answers = [resource_matches(one, world, variables) for one in as_list(statement["NotResource"])]
        if True in answers or (None in answers and effect == "Allow"):
            return False
    for operator, tests in statement.get("Condition", {}).items():
        for key, wanted in tests.items():
            if not condition_holds(operator, key, [text_of(one) for one in as_list(wanted)], world, variables, effect):
                return False
    return True


def text_of(value):
    if value is True or value is False:
        return str(value).lower()
    return str(value)


def action_matches(pattern, action):
    return glob(list_chars(pattern.lower()), action) is not None


def resource_matches(pattern, world, variables):
    """True, False, or None when a variable has no value."""
    if pattern == "*":
        return True
    while pattern.count(":") < 5:
        pattern += ":*"
    chars = expand(pattern, world.context) if variables else list_chars(pattern)
    if variables and "${" in ":".join(re.sub(r"\$\{[*?$]\}", "", pattern).split(":", 5)[:5]):
        return False
    if chars is None:
        return None
    return glob(chars, world.resource, arn=True) is not None


def list_chars(pattern):
    return [(char, char in "*?") for char in pattern]


def expand(pattern, context):
    """Characters with whether they are wildcards; None when a variable has no value."""
    chars = []
    for piece in re.split(r"(\$\{[^}]*\})", pattern):
        if not (piece.startswith("${") and piece.endswith("}")):
            chars += list_chars(piece)
            continue
        inside = piece[2:-1]
        if inside in ("*", "?", "$"):
            value = inside
        else:
            found = re.fullmatch(r"([^,]*)(?:,\s*'(.*)')?\s*", inside)
            value = context.get(found[1].strip().lower())
            if isinstance(value, list):
                if len(value) != 1:
                    if value:
                        return None
                    value = None
                else:
                    value = value[0]
            if value is None:
                value = found[2]
            if value is None:
                return None
        chars += [(char, False) for char in value]
    return chars


def glob(chars, text, arn=False):
    expression = ""
    for position, (char, wild) in enumerate(chars):
        if not wild:
            expression += re.escape(char)
        elif char == "?":
            expression += "[^:]" if arn else "."
        elif arn and position + 1 < len(chars) and chars[position + 1] not in ((":", False), ("*", True)):
            expression += "[^:]*"
        else:
            expression += ".*"
    return re.fullmatch(expression, text, re.DOTALL)


# --- principals -------------------------------------------------------------------------------------------------------


def naming(principal, who):
    """In which ways a Principal element means the caller: direct, limited, account."""
    found = set()
    if principal == "*":
        return {"direct"}
    for kind, listed in principal.items():
        listed = as_list(listed)
        if kind == "Service" and who["kind"] == "service" and (who["name"] in listed or "*" in listed):
            found.add("direct")
        if kind == "Federated" and who["kind"] == "federated" and (who["name"] in listed or "*" in listed):
            found.add("direct")
        if kind != "AWS" or who["kind"] in ("service", "federated"):
            continue
        if "*" in listed or who["own"] & set(listed):
            found.add("direct")
        if who["behind"] & set(listed):
            found.add("limited")
        if who["account"] and (who["account"] in listed or f"arn:aws:iam::{who['account']}:root" in listed):
            found.add("direct" if who["kind"] == "root" else "account")
    return found


def denied_principal(statement, world):
    if "Principal" in statement:
        principal = statement["Principal"]
        return bool(naming(principal, world.who)) or (principal != "*" and "*" in as_list(principal.get("AWS", [])))
    if "NotPrincipal" in statement:
        return world.has_boundary or not excepted(statement["NotPrincipal"], world.who)
    return True


def excepted(principal, who):
    if principal == "*" or "*" in as_list(principal.get("AWS", [])) or not who["account"]:
        return bool(naming(principal, who))
    listed = as_list(principal.get("AWS", []))
    if who["account"] not in listed and f"arn:aws:iam::{who['account']}:root" not in listed:
        return False
    others = [one for one in listed if f":{who['account']}:" in one and not one.endswith(":root")]
    if who["kind"] == "root" or not others:
        return True
    if who["own"] & set(others):
        return who["kind"] != "role" or bool(who["behind"] & set(others))
    if who["behind"] & set(others):
        return not any(f":assumed-role/{who['role_name']}/" in one for one in others)
    return False


def grant_names(grant, action, who, context):
    operation = action.split(":")[1]
    if operation not in grant["operations"]:
        return set()
    found = naming({"AWS": [grant["grantee"]]}, who)
    if grant["grantee"] == "service:" + who.get("name", "") or (
        who["kind"] == "service" and grant["grantee"] == who["name"]
    ):
        found = {"direct"}
    pairs = {
        name.split(":", 2)[2]: value
        for name, value in context.items()
        if name.lower().startswith("kms:encryptioncontext:") and isinstance(value, str)
    }
    if operation not in ("DescribeKey", "RetireGrant", "CreateGrant", "GetPublicKey"):
        for kind, wanted in grant.get("constraints", {}).items():
            asked = sorted((name.lower(), value) for name, value in wanted.items())
            given = sorted((name.lower(), value) for name, value in pairs.items())
            if kind == "EncryptionContextEquals" and given != asked:
                return set()
            if kind == "EncryptionContextSubset" and not set(asked) <= set(given):
                return set()
    return found


# --- conditions -------------------------------------------------------------------------------------------------------


def condition_holds(operator, key, wanted, world, variables, effect):
    actual = world.context.get(key.lower())
    if isinstance(actual, list) and not actual:
        actual = None
    if operator == "Null":
        return any((actual is None) == (one.lower() == "true") for one in wanted)
    set_operator = ""
    if ":" in operator:
        set_operator, operator = operator.split(":")
    if operator.endswith("IfExists"):
        if actual is None:
            return True
        operator = operator[: -len("IfExists")]
    negated = "Not" in operator
    positive = operator.replace("Not", "")
    if actual is None:
        if set_operator:
            return set_operator == "ForAllValues"
        return negated
    values = as_list(actual)
    if set_operator and all(value == "" for value in values):
        values = []
    unresolved = False
    patterns = []
    for one in wanted:
        takes_variables = positive.startswith(("String", "Arn", "Bool"))
        chars = expand(one, world.context) if variables and takes_variables else list_chars(one)
        if chars is None:
            unresolved = True
        else:
            patterns.append(chars)
    if negated and unresolved and effect == "Allow":
        return False
    results = [any(compare(positive, value, chars) for chars in patterns) != negated for value in values]
    if set_operator == "ForAllValues":
        return all(results)
    if set_operator == "ForAnyValue":
        return any(results)
    return all(results) if negated else any(results)


def compare(operator, value, chars):
    wanted = "".join(char for char, _ in chars)
    if operator == "StringEquals":
        return value == wanted
    if operator == "StringEqualsIgnoreCase":
        return value.lower() == wanted.lower()
    if operator == "StringLike":
        return glob(chars, value) is not None
    if operator == "Bool":
        return value.lower() == wanted.lower()
    if operator in ("ArnEquals", "ArnLike"):
        return arn_like(value, chars)
    if operator == "BinaryEquals":
        try:
            return base64.b64decode(value, validate=True) == base64.b64decode(wanted)
        except ValueError:
            return False
    if operator == "IpAddress":
        try:
            return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
        except ValueError:
            return False
    for family, read in (("Numeric", float), ("Date", moment)):
        if operator.startswith(family):
            try:
                left, right = read(value), read(wanted)
            except ValueError:
                return False
            return {
                "Equals": left == right,
                "LessThan": left < right,
                "LessThanEquals": left <= right,
                "GreaterThan": left > right,
                "GreaterThanEquals": left >= right,
            }[operator[len(family) :]]
    raise AssertionError(operator)


def moment(text):
    if re.fullmatch("[0-9]{5,}", text):
        return datetime.datetime.fromtimestamp(int(text), datetime.UTC)
    found = datetime.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def arn_like(value, chars):
    components = value.split(":", 5)
    if len(components) < 6:
        return False
    parts = [[]]
    for char, wild in chars:
        if char == ":" and not wild and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append((char, wild))
    if parts == [[("*", True)]]:
        return True
    while len(parts) < 6:
        parts.append([("*", True)])
    return all(glob(part, component) for part, component in zip(parts, components, strict=True))
