"""The details of an event that people need and that no other field has, one line for each. Pure.

Texts from events are cut here, since an incident travels through the state machine, whose input is limited.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from ir_router.workflow.incident import Actor
from ir_router.workflow.principals import items, mapping, own_key, string

_VALUES = 8
_VALUE_LENGTH = 150
_HIDDEN = re.compile(r"token|secret|password|user_?data|policydocument", re.IGNORECASE)
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_ACCOUNT_IN_ARN = re.compile(r"arn:[^:]*:(?:iam|sts)::(\d{12}):.*|(\d{12})")
_IDENTITY_CENTER = "AWSReservedSSO_"
_SCHEME = re.compile(r"(?<=[A-Za-z0-9])://")
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)
# Host names with the domains that attackers use most. Other words with dots are mostly names of people and versions.
_HOST = re.compile(
    r"(?<![@\w.-])((?:[a-z0-9-]+\.)*[a-z0-9-]+)\.(com|net|org|info|biz|io|co|ai|app|dev|me|to|ly|gg|link|click|site|"
    r"online|shop|store|top|xyz|zip|mov|live|icu|ru|cn|tk|example)(?![\w-]|\.\w)",
    re.IGNORECASE,
)
_OF_AWS = re.compile(r"(?:^|\.)(?:amazonaws\.com(?:\.cn)?|amazon\.com|aws\.dev)$", re.IGNORECASE)
_SERVICE = re.compile(r"([a-z0-9.-]+)\.amazonaws\.com(?:\.cn)?")
_SERVICES = {"cloudformation": "CloudFormation", "lambda": "Lambda", "servicecatalog": "Service Catalog"}


def of_call(detail: Mapping[str, object], actor: Actor) -> list[str]:
    """Return the lines about an API call or a sign-in."""
    return [line for line in _call(detail, actor) if line]


def session_lines(role: str, session: str) -> Iterator[str]:
    """Yield the person, the instance or the name of a role session.

    The roles of IAM Identity Center name their sessions after the person, instances after their id. Callers choose the
    names of all other sessions.
    """
    if not session:
        return
    if role.startswith(_IDENTITY_CENTER):
        yield f"Person: {short(session)} (IAM Identity Center)"
    elif instance_of(session):
        yield f"Instance: {session}. The credentials are those of the instance's role"
    else:
        yield f'Session (the caller chose this name): "{short(session)}"'


def federated(session: str) -> str:
    """Return the line about a federated session (GetFederationToken)."""
    return f'Federated session (the caller chose this name): "{short(session)}"' if session else ""


def harmless(text: str) -> str:
    """Return text that the caller of an API chose, with its links broken: `https[:]//evil[.]example`.

    Mail programs and the console make links of addresses in any text. AWS's own host names stay as they are.
    """
    broken = _HOST.sub(lambda host: host[0] if _OF_AWS.search(host[0]) else f"{host[1]}[.]{host[2]}", text)
    return _WWW.sub("www[.]", _SCHEME.sub("[:]//", broken))


def instance_of(session: str) -> str | None:
    """Return the id of the instance that a role session is named after, or None for other sessions."""
    return session if _INSTANCE.fullmatch(session) else None


def short(value: object) -> str:
    """Return a value of an event in one short line, with its links broken."""
    text = value if isinstance(value, str) else json.dumps(value)
    line = harmless(" ".join(text.split()))
    more = len(line) - _VALUE_LENGTH
    return line if more <= 0 else f"{line[:_VALUE_LENGTH]}... ({more} characters more)"


def origin(address: str) -> str:
    """Return the address of the caller, or the AWS service that made the call for the caller.

    For such a call, `sourceIPAddress` is the DNS name of the service:
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html.
    """
    service = _SERVICE.fullmatch(address)
    if service is None:
        return f"from {address}"
    name = _SERVICES.get(service[1], service[1])
    return f"through {name} ({address})"


def _call(detail: Mapping[str, object], actor: Actor) -> Iterator[str]:
    identity = mapping(detail.get("userIdentity"))
    if actor["kind"] == "root":
        yield _root(identity, actor)
    if actor["kind"] == "role":
        yield from session_lines(actor["name"], actor["caller_arn"].rpartition("/")[2])
    if actor["identity_type"] == "FederatedUser":
        yield federated(actor["caller_arn"].rpartition("/")[2])
    if actor["kind"] == "unknown" and actor["identity_type"]:
        provider = string(identity.get("identityProvider"))
        yield f"Caller: {short(actor['identity_type'])}{f' of {short(provider)}' if provider else ''}"
    if source := string(mapping(identity.get("sessionContext")).get("sourceIdentity")):
        yield f'Source identity (chosen when the first role was assumed): "{short(source)}"'
    if issued := string(mapping(identity.get("inScopeOf")).get("credentialsIssuedTo")):
        yield f"Credentials issued to: {short(issued)}"
    if through := string(identity.get("invokedBy")):
        yield f"Through: {short(through)}, which made the call for this caller"
    if string(detail.get("sessionCredentialFromConsole")) == "true":
        yield "The caller used the AWS Management Console"
    if endpoint := string(detail.get("vpcEndpointId")):
        yield f"VPC endpoint: {short(endpoint)}"
    if detail.get("eventName") == "ConsoleLogin":
        yield _sign_in(detail)
    elif detail.get("eventSource") == "signin.amazonaws.com":
        yield _sign_in_step(detail)
    request = mapping(detail.get("requestParameters"))
    if detail.get("eventName") != "CreateAccessKey":
        yield _request(request)
    yield from _trust(request, string(detail.get("recipientAccountId")))


def _root(identity: Mapping[str, object], actor: Actor) -> str:
    if str(mapping(identity.get("sessionContext")).get("assumedRoot")).lower() == "true":
        return "Credentials: an assumed root session (AssumeRoot)"
    if own_key(actor):
        return "Credentials: a long-term access key of root"
    return "Credentials: a temporary session of root" if actor["access_key_id"] else ""


def _sign_in(detail: Mapping[str, object]) -> str:
    result = string(mapping(detail.get("responseElements")).get("ConsoleLogin"))
    mfa = string(mapping(detail.get("additionalEventData")).get("MFAUsed"))
    used = {"Yes": "MFA was used", "No": "MFA was NOT used"}.get(mfa, "the event does not show whether MFA was used")
    if result == "Success":
        return f"Sign-in: succeeded; {used}"
    why = string(detail.get("errorMessage"))
    return f"Sign-in: failed{f' ({short(why)})' if why else ''}"


def _sign_in_step(detail: Mapping[str, object]) -> str:
    """Return the result of another event of a sign-in, such as the recovery of a password."""
    name = string(detail.get("eventName"))
    result = string(mapping(detail.get("responseElements")).get(name))
    return f"{name}: {short(result)}" if result else ""


def _request(request: Mapping[str, object]) -> str:
    shown = [f"{short(name)} {short(value)}" for name, value in request.items() if value and not _HIDDEN.search(name)]
    more = f", and {len(shown) - _VALUES} more" if len(shown) > _VALUES else ""
    return f"Request: {', '.join(shown[:_VALUES])}{more}" if shown else ""


def _trust(request: Mapping[str, object], account: str) -> Iterator[str]:
    """Yield the principals of other accounts, and identity providers, that a trust policy names."""
    document = request.get("policyDocument") or request.get("assumeRolePolicyDocument")
    statements = parsed_document(document).get("Statement")
    names: list[str] = []
    for statement in items(statements if isinstance(statements, list) else [statements]):
        if statement.get("Effect") != "Allow":
            continue
        trusted = statement.get("Principal")
        if isinstance(trusted, str):
            names.append("every principal of every account" if trusted == "*" else trusted)
        for kind, value in mapping(trusted).items():
            if kind != "Service":
                names += [string(name) for name in (value if isinstance(value, list) else [value])]
    foreign = [name for name in dict.fromkeys(names) if name and _is_foreign(name, account)]
    if foreign:
        yield f"Trusts, outside this account: {', '.join(short(name) for name in foreign[:_VALUES])}"


def _is_foreign(name: str, account: str) -> bool:
    found = _ACCOUNT_IN_ARN.fullmatch(name)
    return found is None or account not in (found[1], found[2])


def parsed_document(document: object) -> Mapping[str, object]:
    """Return a policy document of a request, or {} if it is unreadable. CloudTrail shows it as text."""
    if not isinstance(document, str):
        return mapping(document)
    text = unquote(document) if document.lstrip().startswith("%7B") else document
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}
