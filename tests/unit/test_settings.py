"""Each setting: its variable, how its value is read, and its default."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ir_router.errors import NotConfiguredError
from ir_router.settings import from_environment, strings

# Setting -> variable, a text of it, the value that ir-router reads, and the default.
SETTINGS: dict[str, tuple[str, str, Any, Any]] = {
    "routes": ("IR_ROUTES", "poll, webhook", frozenset({"poll", "webhook"}), frozenset()),
    "name_prefix": ("IR_NAME_PREFIX", "acme", "acme", "security-incident"),
    "table_name": ("IR_TABLE_NAME", "t", "t", None),
    "event_bus_name": ("IR_EVENT_BUS_NAME", "b", "b", None),
    "slack_events_queue_url": ("IR_SLACK_EVENTS_QUEUE_URL", "q", "q", None),
    "files_queue_url": ("IR_FILES_QUEUE_URL", "q", "q", None),
    "approval_queue_url": ("IR_APPROVAL_QUEUE_URL", "q", "q", None),
    "alert_topic_arn": ("IR_ALERT_TOPIC_ARN", "a", "a", None),
    "alarm_topic_arn": ("IR_ALARM_TOPIC_ARN", "t", "t", None),
    "key_arn": ("IR_KEY_ARN", "k", "k", None),
    "log_retention_days": ("IR_LOG_RETENTION_DAYS", "7", 7, 400),
    "digests": ("IR_DIGESTS", '{"b": "2", "a": "1"}', (("a", "1"), ("b", "2")), ()),
    "state_machine_arn": ("IR_STATE_MACHINE_ARN", "s", "s", None),
    "slack_function": ("IR_SLACK_FUNCTION", "f", "f", None),
    "approval_function": ("IR_APPROVAL_FUNCTION", "f", "f", None),
    "organization_id": ("IR_ORGANIZATION_ID", "o-1", "o-1", None),
    "containment_role_arn": ("IR_CONTAINMENT_ROLE_ARN", "r", "r", None),
    "bot_token_parameter": ("IR_BOT_TOKEN_PARAMETER", "/p", "/p", "/SecurityIncidentResponse/slackBotToken"),
    "signing_secret_parameter": (
        "IR_SIGNING_SECRET_PARAMETER",
        "/p",
        "/p",
        "/SecurityIncidentResponse/slackSigningSecret",
    ),
    "workspace_id_parameter": ("IR_WORKSPACE_ID_PARAMETER", "/p", "/p", "/SecurityIncidentResponse/slackWorkspaceId"),
    "channel_prefix_parameter": (
        "IR_CHANNEL_PREFIX_PARAMETER",
        "/p",
        "/p",
        "/SecurityIncidentResponse/slackChannelPrefix",
    ),
    "slack_api_base_url": ("SLACK_API_BASE_URL", "http://localhost:1/api/", "http://localhost:1/api/", None),
    "region": ("AWS_REGION", "eu-west-1", "eu-west-1", "us-east-1"),
    "channel_visibility": ("IR_CHANNEL_VISIBILITY", "public", "public", "private"),
    "security_channel_id": ("IR_SECURITY_CHANNEL_ID", "C1", "C1", None),
    "security_channel_name": ("IR_SECURITY_CHANNEL_NAME", "acme", "acme", "security-incident-security"),
    "approvers": ("IR_APPROVERS", '["a"]', ("a",), ()),
    "mention": ("IR_MENTION", '["here"]', ("here",), ("approvers",)),
    "reminder_minutes": ("IR_REMINDER_MINUTES", "[5]", (5.0,), (10.0, 60.0, 480.0, 1200.0)),
    "approvals_required": (
        "IR_APPROVALS_REQUIRED",
        '{"release": 2}',
        {"remediate_approve": 1, "remediate_deny": 1, "release": 2, "contain_over_limit": 1},
        {"remediate_approve": 1, "remediate_deny": 1, "release": 1, "contain_over_limit": 1},
    ),
    "page_topic_arn": ("IR_PAGE_TOPIC_ARN", "arn", "arn", None),
    "page_after_minutes": ("IR_PAGE_AFTER_MINUTES", "5", 5.0, 10.0),
    "case_editors": ("IR_CASE_EDITORS", '["a"]', ("a",), ()),
    "watcher_domains": ("IR_WATCHER_DOMAINS", '["a"]', ("a",), ()),
    "mirror_bots": ("IR_MIRROR_BOTS", "true", True, False),
    "remove_former_watchers": ("IR_REMOVE_FORMER_WATCHERS", "true", True, False),
    "initial_import": ("IR_INITIAL_IMPORT", "none", "none", "open"),
    "containment_mode": ("IR_CONTAINMENT_MODE", "enforce", "enforce", "dry_run"),
    "contain_other_keys": ("IR_CONTAIN_OTHER_KEYS", "false", False, True),
    "contain_actor": ("IR_CONTAIN_ACTOR", "true", True, False),
    "containment_scope": ("IR_CONTAINMENT_SCOPE", "key", "key", "principal"),
    "ask_before_containing_roles": ("IR_ASK_BEFORE_CONTAINING_ROLES", "all", "all", "service_roles"),
    "lists_digest": ("IR_LISTS_DIGEST", "d", "d", None),
    "protected_principals": ("IR_PROTECTED_PRINCIPALS", '["a"]', ("a",), ()),
    "max_containments_per_hour_per_account": ("IR_MAX_CONTAINMENTS_PER_HOUR_PER_ACCOUNT", "2", 2, 5),
    "max_containments_per_hour": ("IR_MAX_CONTAINMENTS_PER_HOUR", "3", 3, 10),
    "allowed_cidrs": ("IR_ALLOWED_CIDRS", '["a"]', ("a",), ()),
    "allowed_principals": ("IR_ALLOWED_PRINCIPALS", '["a"]', ("a",), ()),
    "api_access_logs": ("IR_API_ACCESS_LOGS", "false", False, True),
    "detections_disabled": ("IR_DETECTIONS_DISABLED", '["a"]', ("a",), ()),
    "severity_overrides": ("IR_SEVERITY_OVERRIDES", '{"a": "HIGH"}', (("a", "HIGH"),), ()),
    "extra_detections": ("IR_EXTRA_DETECTIONS", "[]", "[]", None),
    "case_resolver_type": ("IR_CASE_RESOLVER_TYPE", "AWS", "AWS", "Self"),
    "audit_retention_days": ("IR_AUDIT_RETENTION_DAYS", "30", 30, 400),
    "audit_export_bucket": ("IR_AUDIT_EXPORT_BUCKET", "b", "b", None),
    "case_retention_days": ("IR_CASE_RETENTION_DAYS", "30", 30, 400),
    "archive_channels_after_days": ("IR_ARCHIVE_CHANNELS_AFTER_DAYS", "0", 0.0, 14.0),
    "close_decided_cases_after_hours": ("IR_CLOSE_DECIDED_CASES_AFTER_HOURS", "0", 0.0, 72.0),
    "cloudtrail_lake_event_data_store": ("IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE", "arn:a", "arn:a", None),
    "report_message_text": ("IR_REPORT_MESSAGE_TEXT", "true", True, False),
    "owner_tag": ("IR_OWNER_TAG", "owner", "owner", "slack-email"),
    "settle_seconds": ("IR_SETTLE_SECONDS", "0.5", 0.5, 30.0),
    "previous_signing_secret_hours": ("IR_PREVIOUS_SIGNING_SECRET_HOURS", "1", 1.0, 24.0),
    "case_quotas": ("IR_CASE_QUOTAS", "[60, 12, 13]", (60, 12, 13), (50, 10, 10)),
}


def test_given_no_variables_when_read_then_each_setting_has_its_default() -> None:
    assert asdict(from_environment({})) == {name: default for name, (_, _, _, default) in SETTINGS.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_given_a_variable_when_read_then_only_its_setting_changes_and_an_empty_one_is_not_another_value(
    name: str,
) -> None:
    variable, text, value, default = SETTINGS[name]
    defaults = asdict(from_environment({}))

    assert asdict(from_environment({variable: text})) == defaults | {name: value}
    assert asdict(from_environment({variable: ""}))[name] in (default, "")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (_, _, value, _) in SETTINGS.items()
        if isinstance(value, int | float | tuple) and name != "reminder_minutes"
    ],
)
def test_given_a_value_of_the_wrong_kind_when_read_then_the_error_names_the_variable(name: str) -> None:
    variable = SETTINGS[name][0]
    for value in ("nonsense", '{"a": 1}', "[1]", '"text"'):
        with pytest.raises(NotConfiguredError, match=f"{variable} must be "):
            from_environment({variable: value})


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://slack.com/api/", True),
        ("https://acme.slack.com/api/", True),
        ("https://slack-gov.com/api/", True),
        ("http://slack.com/api/", False),
        ("https://evilslack.com/api/", False),
        ("https://slack.com.example/api/", False),
        ("http://127.0.0.1:1/api/", True),
        ("http://[::1]:1/api/", True),
        ("http://localhost.example/api/", False),
    ],
)
def test_given_a_base_url_when_read_then_only_slacks_hosts_and_this_machine_get_the_token(
    url: str, is_taken: bool
) -> None:
    assert from_environment({"SLACK_API_BASE_URL": url}).slack_api_base_url == (url if is_taken else None)


def test_given_a_setting_that_a_function_lacks_when_required_then_the_error_names_variable_and_fix() -> None:
    assert from_environment({"IR_TABLE_NAME": "t"}).require("table_name") == "t"
    with pytest.raises(NotConfiguredError) as error:
        from_environment({"IR_TABLE_NAME": ""}).require("table_name")
    assert str(error.value) == "The environment variable IR_TABLE_NAME is not set. Run make deploy: Terraform sets it."
    assert strings({}, "any") == ()


@pytest.mark.parametrize("value", ["nonsense", '{"a": 1}', '["10"]', "[true]", "10"])
def test_given_reminders_that_are_no_numbers_when_read_then_the_error_names_the_variable(value: str) -> None:
    with pytest.raises(NotConfiguredError, match="IR_REMINDER_MINUTES must be "):
        from_environment({"IR_REMINDER_MINUTES": value})
