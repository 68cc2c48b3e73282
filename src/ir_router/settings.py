"""The environment of a function, as one typed value.

A frozen dataclass rather than a pydantic model: the webhook pays for its imports at every cold start.
The names are those that Terraform sets (terraform/functions.tf).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ir_router.errors import NotConfiguredError


@dataclass(frozen=True)
class Settings:
    """What a deployment was told. Lists come as JSON, switches as `true` or `false`.

    Settings that only some deployments have are None elsewhere; `require` names the missing one.
    """

    routes: frozenset[str]
    name_prefix: str
    table_name: str | None
    event_bus_name: str | None
    slack_events_queue_url: str | None
    files_queue_url: str | None
    approval_queue_url: str | None
    alert_topic_arn: str | None
    state_machine_arn: str | None
    slack_function: str | None
    approval_function: str | None
    deny_policy_arn: str | None
    bot_token_parameter: str
    signing_secret_parameter: str
    workspace_id_parameter: str
    channel_prefix_parameter: str
    slack_api_base_url: str | None
    region: str
    channel_visibility: str
    security_channel_id: str | None
    approvers: tuple[str, ...]
    case_editors: tuple[str, ...]
    mirror_bots: bool
    remove_former_watchers: bool
    initial_import: str
    containment_mode: str
    contain_other_keys: bool
    contain_actor: bool
    protected_principals: tuple[str, ...]
    max_containments_per_hour: int
    allowed_cidrs: tuple[str, ...]
    allowed_principals: tuple[str, ...]
    case_resolver_type: str
    audit_retention_days: int
    owner_tag: str
    settle_seconds: float
    previous_signing_secret_hours: float

    def require(self, name: str) -> str:
        """The setting `name`, which must be set. Raises NotConfiguredError with its environment variable."""
        value = getattr(self, name)
        if not value:
            raise NotConfiguredError(f"The environment variable IR_{name.upper()} is not set; Terraform sets it.")
        return str(value)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises NotConfiguredError with the variable's name when a value cannot be read."""
    return Settings(
        routes=frozenset(route.strip() for route in environment.get("IR_ROUTES", "").split(",") if route.strip()),
        name_prefix=environment.get("IR_NAME_PREFIX", "security-incident"),
        table_name=environment.get("IR_TABLE_NAME"),
        event_bus_name=environment.get("IR_EVENT_BUS_NAME"),
        slack_events_queue_url=environment.get("IR_SLACK_EVENTS_QUEUE_URL"),
        files_queue_url=environment.get("IR_FILES_QUEUE_URL"),
        approval_queue_url=environment.get("IR_APPROVAL_QUEUE_URL"),
        alert_topic_arn=environment.get("IR_ALERT_TOPIC_ARN"),
        state_machine_arn=environment.get("IR_STATE_MACHINE_ARN"),
        slack_function=environment.get("IR_SLACK_FUNCTION"),
        approval_function=environment.get("IR_APPROVAL_FUNCTION"),
        deny_policy_arn=environment.get("IR_DENY_POLICY_ARN"),
        bot_token_parameter=_parameter(environment, "IR_BOT_TOKEN_PARAMETER", "slackBotToken"),
        signing_secret_parameter=_parameter(environment, "IR_SIGNING_SECRET_PARAMETER", "slackSigningSecret"),
        workspace_id_parameter=_parameter(environment, "IR_WORKSPACE_ID_PARAMETER", "slackWorkspaceId"),
        channel_prefix_parameter=_parameter(environment, "IR_CHANNEL_PREFIX_PARAMETER", "slackChannelPrefix"),
        slack_api_base_url=environment.get("SLACK_API_BASE_URL"),
        region=environment.get("AWS_REGION", "us-east-1"),
        channel_visibility=environment.get("IR_CHANNEL_VISIBILITY", "private"),
        security_channel_id=environment.get("IR_SECURITY_CHANNEL_ID") or None,
        approvers=_strings(environment, "IR_APPROVERS"),
        case_editors=_strings(environment, "IR_CASE_EDITORS"),
        mirror_bots=_switch(environment, "IR_MIRROR_BOTS", default=False),
        remove_former_watchers=_switch(environment, "IR_REMOVE_FORMER_WATCHERS", default=False),
        initial_import=environment.get("IR_INITIAL_IMPORT", "open"),
        containment_mode=environment.get("IR_CONTAINMENT_MODE", "dry_run"),
        contain_other_keys=_switch(environment, "IR_CONTAIN_OTHER_KEYS", default=True),
        contain_actor=_switch(environment, "IR_CONTAIN_ACTOR", default=False),
        protected_principals=_strings(environment, "IR_PROTECTED_PRINCIPALS"),
        max_containments_per_hour=int(_number(environment, "IR_MAX_CONTAINMENTS_PER_HOUR", 10)),
        allowed_cidrs=_strings(environment, "IR_ALLOWED_CIDRS"),
        allowed_principals=_strings(environment, "IR_ALLOWED_PRINCIPALS"),
        case_resolver_type=environment.get("IR_CASE_RESOLVER_TYPE", "Self"),
        audit_retention_days=int(_number(environment, "IR_AUDIT_RETENTION_DAYS", 365)),
        owner_tag=environment.get("IR_OWNER_TAG", "slack-email"),
        settle_seconds=_number(environment, "IR_SETTLE_SECONDS", 30),
        previous_signing_secret_hours=_number(environment, "IR_PREVIOUS_SIGNING_SECRET_HOURS", 24),
    )


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return from_environment(os.environ)


def _parameter(environment: Mapping[str, str], name: str, default: str) -> str:
    return environment.get(name) or f"/SecurityIncidentResponse/{default}"


def _strings(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = environment.get(name) or "[]"
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise NotConfiguredError(f'{name} must be a JSON list of strings, for example ["a", "b"].')
    return tuple(values)


def _switch(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name) or str(default).lower()
    if text not in ("true", "false"):
        raise NotConfiguredError(f"{name} must be true or false.")
    return text == "true"


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        return float(text)
    except ValueError:
        raise NotConfiguredError(f"{name} must be a number.") from None
