"""The environment variables of a function as one typed value. Terraform sets them (terraform/functions.tf).

`Settings` is a dataclass because importing pydantic would slow every cold start of the webhook.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast
from urllib.parse import urlsplit

from ir_router.errors import NotConfiguredError

# Terraform refuses other values (terraform/variables.tf).
ChannelVisibility = Literal["private", "public"]
ContainmentMode = Literal["dry_run", "enforce", "off"]
ContainmentScope = Literal["key", "principal"]
InitialImport = Literal["none", "open"]
RolesToAskAbout = Literal["all", "none", "service_roles"]


@dataclass(frozen=True)
class Settings:
    """The settings of a deployment. The variables hold lists as JSON and switches as `true` or `false`.

    A setting that only some functions have is None in the others. Read such a setting with `require`.
    """

    routes: frozenset[str]
    name_prefix: str
    table_name: str | None
    event_bus_name: str | None
    slack_events_queue_url: str | None
    files_queue_url: str | None
    approval_queue_url: str | None
    alert_topic_arn: str | None
    alarm_topic_arn: str | None
    key_arn: str | None
    log_retention_days: int
    digests: tuple[tuple[str, str], ...]
    state_machine_arn: str | None
    slack_function: str | None
    approval_function: str | None
    containment_role_arn: str | None
    organization_id: str | None
    bot_token_parameter: str
    signing_secret_parameter: str
    workspace_id_parameter: str
    channel_prefix_parameter: str
    slack_api_base_url: str | None
    region: str
    channel_visibility: ChannelVisibility
    security_channel_id: str | None
    security_channel_name: str
    approvers: tuple[str, ...]
    mention: tuple[str, ...]
    reminder_minutes: tuple[float, ...]
    approvals_required: Mapping[str, int]
    page_topic_arn: str | None
    page_after_minutes: float
    case_editors: tuple[str, ...]
    watcher_domains: tuple[str, ...]
    mirror_bots: bool
    remove_former_watchers: bool
    initial_import: InitialImport
    containment_mode: ContainmentMode
    contain_other_keys: bool
    contain_actor: bool
    containment_scope: ContainmentScope
    ask_before_containing_roles: RolesToAskAbout
    lists_digest: str | None
    protected_principals: tuple[str, ...]
    max_containments_per_hour: int
    max_containments_per_hour_per_account: int
    allowed_cidrs: tuple[str, ...]
    allowed_principals: tuple[str, ...]
    api_access_logs: bool
    detections_disabled: tuple[str, ...]
    severity_overrides: tuple[tuple[str, str], ...]
    extra_detections: str | None
    case_resolver_type: str
    audit_retention_days: int
    audit_export_bucket: str | None
    case_retention_days: int
    close_decided_cases_after_hours: float
    archive_channels_after_days: float
    cloudtrail_lake_event_data_store: str | None
    report_message_text: bool
    owner_tag: str
    settle_seconds: float
    previous_signing_secret_hours: float
    case_quotas: tuple[int, int, int]
    """AWS's quotas for active self-managed, active AWS-supported, and new AWS-supported cases a day."""

    def require(self, name: str) -> str:
        """Return the setting `name`. Raises NotConfiguredError, which names the variable, when it is not set."""
        value = getattr(self, name)
        if not value:
            raise NotConfiguredError(
                f"The environment variable IR_{name.upper()} is not set. Run make deploy: Terraform sets it."
            )
        return str(value)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Parse the settings. Raises NotConfiguredError, which names the variable, for a value that cannot be parsed."""
    return Settings(
        routes=frozenset(route.strip() for route in environment.get("IR_ROUTES", "").split(",") if route.strip()),
        name_prefix=environment.get("IR_NAME_PREFIX", "security-incident"),
        table_name=environment.get("IR_TABLE_NAME"),
        event_bus_name=environment.get("IR_EVENT_BUS_NAME"),
        slack_events_queue_url=environment.get("IR_SLACK_EVENTS_QUEUE_URL"),
        files_queue_url=environment.get("IR_FILES_QUEUE_URL"),
        approval_queue_url=environment.get("IR_APPROVAL_QUEUE_URL"),
        alert_topic_arn=environment.get("IR_ALERT_TOPIC_ARN"),
        alarm_topic_arn=environment.get("IR_ALARM_TOPIC_ARN"),
        key_arn=environment.get("IR_KEY_ARN"),
        log_retention_days=int(_number(environment, "IR_LOG_RETENTION_DAYS", 400)),
        digests=_pairs(environment, "IR_DIGESTS"),
        state_machine_arn=environment.get("IR_STATE_MACHINE_ARN"),
        slack_function=environment.get("IR_SLACK_FUNCTION"),
        approval_function=environment.get("IR_APPROVAL_FUNCTION"),
        containment_role_arn=environment.get("IR_CONTAINMENT_ROLE_ARN"),
        organization_id=environment.get("IR_ORGANIZATION_ID") or None,
        bot_token_parameter=_parameter(environment, "IR_BOT_TOKEN_PARAMETER", "slackBotToken"),
        signing_secret_parameter=_parameter(environment, "IR_SIGNING_SECRET_PARAMETER", "slackSigningSecret"),
        workspace_id_parameter=_parameter(environment, "IR_WORKSPACE_ID_PARAMETER", "slackWorkspaceId"),
        channel_prefix_parameter=_parameter(environment, "IR_CHANNEL_PREFIX_PARAMETER", "slackChannelPrefix"),
        slack_api_base_url=_slack_base_url(environment.get("SLACK_API_BASE_URL", "")),
        region=environment.get("AWS_REGION", "us-east-1"),
        channel_visibility=cast("ChannelVisibility", environment.get("IR_CHANNEL_VISIBILITY", "private")),
        security_channel_id=environment.get("IR_SECURITY_CHANNEL_ID") or None,
        security_channel_name=environment.get("IR_SECURITY_CHANNEL_NAME") or "security-incident-security",
        approvers=strings(environment, "IR_APPROVERS"),
        mention=strings(environment, "IR_MENTION") if environment.get("IR_MENTION") else ("approvers",),
        reminder_minutes=_numbers(environment, "IR_REMINDER_MINUTES", (10, 60, 480, 1200)),
        approvals_required=_approvals_required(environment),
        page_topic_arn=environment.get("IR_PAGE_TOPIC_ARN"),
        page_after_minutes=_number(environment, "IR_PAGE_AFTER_MINUTES", 10),
        case_editors=strings(environment, "IR_CASE_EDITORS"),
        watcher_domains=strings(environment, "IR_WATCHER_DOMAINS"),
        mirror_bots=_switch(environment, "IR_MIRROR_BOTS", default=False),
        remove_former_watchers=_switch(environment, "IR_REMOVE_FORMER_WATCHERS", default=False),
        initial_import=cast("InitialImport", environment.get("IR_INITIAL_IMPORT", "open")),
        containment_mode=cast("ContainmentMode", environment.get("IR_CONTAINMENT_MODE", "dry_run")),
        contain_other_keys=_switch(environment, "IR_CONTAIN_OTHER_KEYS", default=True),
        contain_actor=_switch(environment, "IR_CONTAIN_ACTOR", default=False),
        containment_scope=cast("ContainmentScope", environment.get("IR_CONTAINMENT_SCOPE", "principal")),
        ask_before_containing_roles=cast(
            "RolesToAskAbout", environment.get("IR_ASK_BEFORE_CONTAINING_ROLES", "service_roles")
        ),
        lists_digest=environment.get("IR_LISTS_DIGEST"),
        protected_principals=strings(environment, "IR_PROTECTED_PRINCIPALS"),
        max_containments_per_hour=int(_number(environment, "IR_MAX_CONTAINMENTS_PER_HOUR", 10)),
        max_containments_per_hour_per_account=int(_number(environment, "IR_MAX_CONTAINMENTS_PER_HOUR_PER_ACCOUNT", 5)),
        allowed_cidrs=strings(environment, "IR_ALLOWED_CIDRS"),
        allowed_principals=strings(environment, "IR_ALLOWED_PRINCIPALS"),
        api_access_logs=_switch(environment, "IR_API_ACCESS_LOGS", default=True),
        detections_disabled=strings(environment, "IR_DETECTIONS_DISABLED"),
        severity_overrides=_pairs(environment, "IR_SEVERITY_OVERRIDES"),
        extra_detections=environment.get("IR_EXTRA_DETECTIONS") or None,
        case_resolver_type=environment.get("IR_CASE_RESOLVER_TYPE", "Self"),
        audit_retention_days=int(_number(environment, "IR_AUDIT_RETENTION_DAYS", 400)),
        audit_export_bucket=environment.get("IR_AUDIT_EXPORT_BUCKET") or None,
        case_retention_days=int(_number(environment, "IR_CASE_RETENTION_DAYS", 400)),
        archive_channels_after_days=_number(environment, "IR_ARCHIVE_CHANNELS_AFTER_DAYS", 14),
        cloudtrail_lake_event_data_store=environment.get("IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE") or None,
        close_decided_cases_after_hours=_number(environment, "IR_CLOSE_DECIDED_CASES_AFTER_HOURS", 72),
        report_message_text=_switch(environment, "IR_REPORT_MESSAGE_TEXT", default=False),
        owner_tag=environment.get("IR_OWNER_TAG", "slack-email"),
        settle_seconds=_number(environment, "IR_SETTLE_SECONDS", 30),
        previous_signing_secret_hours=_number(environment, "IR_PREVIOUS_SIGNING_SECRET_HOURS", 24),
        case_quotas=_case_quotas(environment),
    )


@cache
def settings() -> Settings:
    """Return the settings of this process, parsed once."""
    return from_environment(os.environ)


def _parameter(environment: Mapping[str, str], name: str, default: str) -> str:
    return environment.get(name) or f"/SecurityIncidentResponse/{default}"


def strings(values_by_name: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the strings of the JSON list `name`; none if it is missing. Raises NotConfiguredError for other values."""
    text = values_by_name.get(name) or "[]"
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise NotConfiguredError(f'{name} must be a JSON list of strings, for example ["a", "b"].')
    return tuple(values)


def _numbers(environment: Mapping[str, str], name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    try:
        values = json.loads(environment.get(name) or json.dumps(default))
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise NotConfiguredError(f"{name} must be a JSON list of numbers, for example [10, 60].")
    return tuple(float(value) for value in values)


def _approvals_required(environment: Mapping[str, str]) -> dict[str, int]:
    name, names = "IR_APPROVALS_REQUIRED", ("remediate_approve", "remediate_deny", "release", "contain_over_limit")
    try:
        given = json.loads(environment.get(name) or "{}")
        found = {key: int(given.get(key, 1)) for key in names}
    except (AttributeError, TypeError, ValueError):
        found = {}
    if not found or not set(found.values()) <= {1, 2}:
        raise NotConfiguredError(f'{name} must be a JSON object of the numbers 1 or 2, for example {{"release": 2}}.')
    return found


def _pairs(environment: Mapping[str, str], name: str) -> tuple[tuple[str, str], ...]:
    try:
        values = json.loads(environment.get(name) or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise NotConfiguredError(f'{name} must be a JSON object of strings, for example {{"a": "b"}}.')
    return tuple(sorted(values.items()))


def _switch(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name) or str(default).lower()
    if text not in ("true", "false"):
        raise NotConfiguredError(f"{name} must be true or false.")
    return text == "true"


def _case_quotas(environment: Mapping[str, str]) -> tuple[int, int, int]:
    text = environment.get("IR_CASE_QUOTAS") or "[50, 10, 10]"
    try:
        self_managed, aws_supported, new_aws_supported = (int(number) for number in json.loads(text))
    except (TypeError, ValueError):
        raise NotConfiguredError("IR_CASE_QUOTAS must be a JSON list of three numbers.") from None
    return self_managed, aws_supported, new_aws_supported


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        return float(text)
    except ValueError:
        raise NotConfiguredError(f"{name} must be a number.") from None


def _slack_base_url(url: str) -> str | None:
    """Return the base URL if its host is Slack's or this machine's, else None.

    The bot token goes to this host, so a permission to change the variable must not be a permission to read the token.
    """
    host = urlsplit(url).hostname or ""
    is_slack = url.startswith("https://") and f".{host}".endswith((".slack.com", ".slack-gov.com"))
    return url if is_slack or host in ("127.0.0.1", "localhost", "::1") else None
