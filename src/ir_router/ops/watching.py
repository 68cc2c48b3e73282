"""Verification of what tells people and keeps what happened: alert topic, alarms, dashboard, log groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ir_router.ops import names, regions
from ir_router.ops.checks import APPLY, Check, count, failed, ok, run, warning
from ir_router.settings import settings

# DescribeAlarms gives at most so many at a time, and takes as many names.
_ALARMS_AT_MOST = 100


def checks() -> Iterator[Check]:
    """A line for each; those about topic and alarms also for us-east-1, where events are forwarded from there."""
    home, topic = settings().region, settings().require("alert_topic_arn")
    yield from run("alert topic", partial(_topic, "alert topic", topic, home))
    yield from run("alarms", partial(_alarms, "alarms", names.alarms(), topic, home))
    if names.forwards():
        there, topic = names.GLOBAL_EVENTS_REGION, names.forwarding_topic()
        label = f"alert topic in {there}"
        yield from run(label, partial(_topic, label, topic, there))
        label = f"alarms in {there}"
        yield from run(label, partial(_alarms, label, [names.forwarding_alarm()], topic, there))
    yield from run("dashboard", _dashboard)
    yield from run("log groups", _log_groups)


def _topic(label: str, arn: str, region: str) -> Iterator[Check]:
    sns = regions.client("sns", region)
    sns.get_topic_attributes(TopicArn=arn)
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    arns = [subscription["SubscriptionArn"] for page in pages for subscription in page["Subscriptions"]]
    # An unconfirmed one has no ARN yet.
    confirmed = sum(one.startswith("arn:") for one in arns)
    if not arns:
        mend = "Give alert_emails and run make deploy; then open the confirmation that AWS sends to each address."
        yield warning(label, "nobody gets alerts: it has no subscription", mend)
    elif confirmed < len(arns):
        detail = f"{confirmed} of {count(len(arns), 'subscription', 'subscriptions')} confirmed"
        detail += "" if confirmed else ": nobody gets alerts"
        yield warning(label, detail, "Open the confirmation that AWS sent to the address.")
    else:
        yield ok(label, count(confirmed, "subscription", "subscriptions"))


def _alarms(label: str, wanted: Sequence[str], topic: str, region: str) -> Iterator[Check]:
    """Each there, and telling the alert topic. What is in alarm the alarm itself tells."""
    answer = regions.client("cloudwatch", region).describe_alarms(AlarmNames=wanted, MaxRecords=_ALARMS_AT_MOST)
    found = {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
    missing = [name for name in wanted if name not in found]
    told = {name for name, alarm in found.items() if alarm["ActionsEnabled"] and topic in alarm.get("AlarmActions", [])}
    silent = sorted(found.keys() - told)
    if missing:
        yield failed(label, f"{len(missing)} of {len(wanted)} are not there: {', '.join(missing)}", APPLY)
    elif silent:
        yield warning(label, f"{count(len(silent), 'tells', 'tell')} nobody: {', '.join(silent)}", APPLY)
    else:
        yield ok(label, f"{count(len(found), 'alarm', 'alarms')}, to the alert topic")


def _dashboard() -> Iterator[Check]:
    name = names.dashboard()
    pages = regions.client("cloudwatch", settings().region).get_paginator("list_dashboards")
    found = [one for page in pages.paginate(DashboardNamePrefix=name) for one in page["DashboardEntries"]]
    if name in [one["DashboardName"] for one in found]:
        yield ok("dashboard", name)
    else:
        yield failed("dashboard", f"{name} is not there", APPLY)


def _log_groups() -> Iterator[Check]:
    wanted = names.log_groups()
    found: set[str] = set()
    pages = regions.client("logs", settings().region).get_paginator("describe_log_groups")
    for name in wanted:
        for page in pages.paginate(logGroupNamePrefix=name):
            found |= {group["logGroupName"] for group in page["logGroups"]}
    missing = [name for name in wanted if name not in found]
    if missing:
        detail = f"what belongs into them is lost, they are not there: {', '.join(missing)}"
        yield failed("log groups", detail, APPLY)
    else:
        yield ok("log groups", f"all {len(wanted)}")
