"""Verify monitoring: alert topic, alarms, log groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ir_router.ops import names, regions
from ir_router.ops.checks import APPLY, Check, count, failed, ok, run_checks, warning
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import LogGroupTypeDef

# DescribeAlarms accepts and returns at most this many alarms.
_ALARMS_AT_MOST = 100
_ACCESS_LOG_DAYS = 7  # terraform/api.tf


def checks() -> Iterator[Check]:
    """Yield a line for each. If events are forwarded from us-east-1, topic and alarms there have lines too."""
    home, topic = settings().region, settings().require("alert_topic_arn")
    yield from run_checks("alert topic", partial(_topic, "alert topic", topic, home))
    yield from run_checks("alarm topic", partial(_topic, "alarm topic", names.alarm_topic(), home))
    yield from run_checks("page topic", _page_topic)
    yield from run_checks("alarms", partial(_alarms, "alarms", names.alarms(), topic, home))
    label = "essential alarms"
    yield from run_checks(label, partial(_alarms, label, names.essential_alarms(), names.alarm_topic(), home))
    if names.forwards():
        there, topic = names.GLOBAL_EVENTS_REGION, names.forwarding_topic()
        label = f"alert topic in {there}"
        yield from run_checks(label, partial(_topic, label, topic, there))
        label = f"alarms in {there}"
        yield from run_checks(label, partial(_alarms, label, [names.forwarding_alarm()], topic, there))
    yield from run_checks("log groups", _log_groups)


def _subscriptions(arn: str, region: str) -> list[str]:
    sns = regions.client("sns", region)
    sns.get_topic_attributes(TopicArn=arn)
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    return [subscription["SubscriptionArn"] for page in pages for subscription in page["Subscriptions"]]


def _page_topic() -> Iterator[Check]:
    """Check the topic for pages. Deployments without an on-call service have no subscription."""
    arns = _subscriptions(names.page_topic(), settings().region)
    confirmed = sum(one.startswith("arn:") for one in arns)
    if confirmed < len(arns):
        detail = f"{confirmed} of {count(len(arns), 'subscription', 'subscriptions')} confirmed"
        fix = "Subscribe the endpoint of your on-call service, and let it confirm (docs/operations.md, Pages)."
        yield warning("page topic", detail, fix)
    else:
        yield ok("page topic", count(confirmed, "subscription", "subscriptions") if arns else "no subscription")


def _topic(label: str, arn: str, region: str) -> Iterator[Check]:
    arns = _subscriptions(arn, region)
    # An unconfirmed one has no ARN yet.
    confirmed = sum(one.startswith("arn:") for one in arns)
    if not arns:
        fix = "Set alert_emails and run make deploy. Then confirm the e-mail that AWS sends to each address."
        yield warning(label, "no subscription, so no recipient gets alerts", fix)
    elif "Deleted" in arns:
        detail = f"a subscription was removed; {confirmed} of {count(len(arns), 'subscription', 'subscriptions')} left"
        detail += "" if confirmed else ", so no recipient gets alerts"
        fix = (
            "Someone or a mail scanner opened the unsubscribe link in an alert. Run make deploy, then confirm the new "
            "subscription on the command line (docs/operations.md, Confirm the subscriptions)."
        )
        yield warning(label, detail, fix)
    elif confirmed < len(arns):
        detail = f"{confirmed} of {count(len(arns), 'subscription', 'subscriptions')} confirmed"
        detail += "" if confirmed else ", so no recipient gets alerts"
        yield warning(label, detail, "Confirm the e-mail that AWS sent to the address.")
    else:
        yield ok(label, count(confirmed, "subscription", "subscriptions"))


def _alarms(label: str, wanted: Sequence[str], topic: str, region: str) -> Iterator[Check]:
    """Check that each alarm exists and notifies the topic. The alarms themselves report their state."""
    answer = regions.client("cloudwatch", region).describe_alarms(AlarmNames=wanted, MaxRecords=_ALARMS_AT_MOST)
    found = {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
    missing = [name for name in wanted if name not in found]
    notifying = {
        name for name, alarm in found.items() if alarm["ActionsEnabled"] and topic in alarm.get("AlarmActions", [])
    }
    silent = sorted(found.keys() - notifying)
    if missing:
        yield failed(label, f"{len(missing)} of {len(wanted)} missing: {', '.join(missing)}", APPLY)
    elif silent:
        shown = count(len(silent), "alarm does", "alarms do")
        yield warning(label, f"{shown} not notify the {_name_of(topic)}: {', '.join(silent)}", APPLY)
    else:
        yield ok(label, f"{count(len(found), 'alarm notifies', 'alarms notify')} the {_name_of(topic)}")


def _name_of(topic: str) -> str:
    return "alarm topic" if topic == names.alarm_topic() else "alert topic"


def _log_groups() -> Iterator[Check]:
    wanted = names.log_groups()
    found: dict[str, LogGroupTypeDef] = {}
    pages = regions.client("logs", settings().region).get_paginator("describe_log_groups")
    for name in wanted:
        for page in pages.paginate(logGroupNamePrefix=name):
            found |= {group["logGroupName"]: group for group in page["logGroups"]}
    missing = [name for name in wanted if name not in found]
    changed = [f"{name} ({why})" for name in wanted if name in found and (why := _changed(name, found[name]))]
    if missing:
        detail = f"missing, so their log lines are lost: {', '.join(missing)}"
        yield failed("log groups", detail, APPLY)
    elif changed:
        fix = f"{APPLY} Find out who changed it: PutRetentionPolicy and DisassociateKmsKey are in CloudTrail."
        yield failed("log groups", f"changed: {', '.join(changed)}", fix)
    else:
        yield ok("log groups", f"all {len(wanted)}, with their retention and key")


def _changed(name: str, group: LogGroupTypeDef) -> str:
    """Return how a group differs from terraform/: a short retention deletes evidence."""
    days = _ACCESS_LOG_DAYS if name == names.access_log_group() else settings().log_retention_days
    kept = group.get("retentionInDays")
    if kept != days:
        return f"kept for {f'{kept} days' if kept else 'ever'} instead of {days}"
    return "" if group.get("kmsKeyId") == settings().key_arn else "not encrypted with the key of ir-router"
