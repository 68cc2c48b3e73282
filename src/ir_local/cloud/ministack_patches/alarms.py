"""CloudWatch alarms: kept and described with all their fields, so that a second Terraform plan finds nothing changed.

Terraform's provider speaks the Query protocol to CloudWatch; what goes over it follows botocore's service model:
lists as `<member>`, structures and scalars by their names.
"""
# ruff: noqa: SLF001 - a patch reaches into what it patches

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from ir_local.cloud.ministack_patches.originals import module, replace

ALARMS = module("services.cloudwatch")

Json = dict[str, Any]
Parameters = dict[str, list[str]]

_originals: dict[str, Any] = {}


def apply() -> None:
    """Change PutMetricAlarm and DescribeAlarms; raises EmulatorChangedError."""
    _originals["put"] = replace(ALARMS, "_put_metric_alarm", "953a67ff4bb1", put_metric_alarm)
    _originals["describe"] = replace(ALARMS, "_describe_alarms", "ab8f092ff9ae", describe_alarms)


def put_metric_alarm(parameters: Parameters, body: Json, is_cbor: bool, is_json: bool = False) -> Any:
    """Store an alarm, with those members of a Query request that the emulator leaves out or makes up."""
    answer = _originals["put"](parameters, body, is_cbor, is_json)
    name = parameters.get("AlarmName", [""])[0]
    if answer[0] != 200 or is_cbor or is_json:
        return answer
    request = from_query(parameters)
    alarm: Json = ALARMS._alarms[name]
    for member in ("Metrics", "InsufficientDataActions"):
        alarm[member] = request.get(member, [])
    for member in ("ThresholdMetricId", "EvaluateLowSampleCountPercentile"):
        alarm[member] = request.get(member)
    for member in ("Statistic", "Period", "Threshold", "MetricName", "Namespace"):
        if member not in request:
            alarm[member] = None
    return answer


def from_query(parameters: Parameters) -> Json:
    """The members of a Query request as nested dictionaries and lists, all values as text."""
    tree: Json = {}
    for path, values in parameters.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = values[0]
    members = lists_in(tree)
    return members if isinstance(members, dict) else {}


def lists_in(node: Any) -> Any:
    """A tree of a Query request with `{"member": {"1": ..., "2": ...}}` made the list that it stands for."""
    if not isinstance(node, dict):
        return node
    if set(node) == {"member"}:
        members = node["member"]
        return [lists_in(members[index]) for index in sorted(members, key=int)]
    return {name: lists_in(value) for name, value in node.items()}


def describe_alarms(parameters: Parameters, body: Json, is_cbor: bool, is_json: bool = False) -> Any:
    """Describe alarms with all the members that are stored."""
    if is_cbor or is_json:
        return _originals["describe"](parameters, body, is_cbor, is_json)
    request: Json = {key: value for key, value in from_query(parameters).items() if key not in {"Action", "Version"}}
    status, _headers, answer = _originals["describe"](parameters, request, False, True)
    if status != 200:
        return _originals["describe"](parameters, body, is_cbor, is_json)
    result = ALARMS.json.loads(answer)
    content = "".join(element(name, value) for name, value in result.items())
    return ALARMS._xml(200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{content}</DescribeAlarmsResult>")


def element(name: str, value: Any) -> str:
    """A member as XML; nothing for one that is not set."""
    if value is None or value == "":
        return ""
    if isinstance(value, dict):
        content = "".join(element(key, member) for key, member in value.items())
    elif isinstance(value, list):
        content = "".join(element("member", member) for member in value)
    elif isinstance(value, bool):
        content = "true" if value else "false"
    elif name.endswith("Timestamp") and isinstance(value, int | float):
        content = ALARMS.datetime.fromtimestamp(value, ALARMS.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        content = escape(str(value))
    return f"<{name}>{content}</{name}>"
