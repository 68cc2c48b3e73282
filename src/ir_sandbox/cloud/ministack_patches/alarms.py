"""CloudWatch alarms: stored and described with all their fields, so that a second Terraform plan shows no changes.

Terraform's provider uses CloudWatch's Query protocol. Its messages follow botocore's service model: lists as
`<member>`, structures and scalars by their names.
"""
# ruff: noqa: SLF001 - a patch uses private members of the patched module

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from botocore import session as botocore_session

from ir_sandbox.cloud.ministack_patches.originals import module, replace

ALARMS = module("services.cloudwatch")

Json = dict[str, Any]
Parameters = dict[str, list[str]]

_originals: dict[str, Any] = {}


def apply() -> None:
    """Patch PutMetricAlarm and DescribeAlarms; raises EmulatorChangedError."""
    _originals["put"] = replace(ALARMS, "_put_metric_alarm", "953a67ff4bb1", put_metric_alarm)
    _originals["describe"] = replace(ALARMS, "_describe_alarms", "ab8f092ff9ae", describe_alarms)


def put_metric_alarm(parameters: Parameters, body: Json, is_cbor: bool, is_json: bool = False) -> Any:
    """Store an alarm with exactly the members of the request."""
    answer = _originals["put"](parameters, body, is_cbor, is_json)
    if answer[0] == 200:
        shape = service_model().operation_model("PutMetricAlarm").input_shape
        request = body if is_cbor or is_json else typed(shape, from_query(parameters))
        defaults = {"ActionsEnabled": True, "TreatMissingData": "missing"}
        alarm: Json = ALARMS._alarms[request["AlarmName"]]
        for name, member in shape.members.items():
            if name != "Tags":
                nothing: list[Any] | None = [] if member.type_name == "list" else None
                alarm[name] = request.get(name, defaults.get(name, nothing))
    return answer


@functools.cache
def service_model() -> Any:
    """Return CloudWatch's service model from the emulator's botocore."""
    return botocore_session.get_session().get_service_model("cloudwatch")


def from_query(parameters: Parameters) -> Json:
    """Return the members of a Query request as nested dictionaries and lists, with all values as text."""
    tree: Json = {}
    for path, values in parameters.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = values[0]
    members: Json = lists_in(tree)
    return members


def lists_in(node: Any) -> Any:
    """Convert each `{"member": {"1": ..., "2": ...}}` in a Query request's tree to a list."""
    if not isinstance(node, dict):
        return node
    if set(node) == {"member"}:
        members = node["member"]
        return [lists_in(members[index]) for index in sorted(members, key=int)]
    return {name: lists_in(value) for name, value in node.items()}


def typed(shape: Any, value: Any) -> Any:
    """Convert the text values of a Query request to the types of a shape, without members unknown to the shape."""
    match shape.type_name:
        case "structure":
            return {name: typed(member, value[name]) for name, member in shape.members.items() if name in value}
        case "list":
            return [typed(shape.member, item) for item in value or []]
        case "integer" | "long":
            return int(value)
        case "double" | "float":
            return float(value)
        case "boolean":
            return value == "true"
        case _:
            return value


def describe_alarms(parameters: Parameters, body: Json, is_cbor: bool, is_json: bool = False) -> Any:
    """Describe alarms with exactly the members that are set."""
    if is_cbor:
        return _originals["describe"](parameters, body, is_cbor, is_json)
    shape = service_model().operation_model("DescribeAlarms").input_shape
    request = body if is_json else typed(shape, from_query(parameters))
    status, headers, answer = _originals["describe"]({}, request, False, True)
    if status != 200:
        return _originals["describe"](parameters, body, is_cbor, is_json)
    result = json.loads(answer)
    for kind in ("MetricAlarms", "CompositeAlarms"):
        result[kind] = [{name: value for name, value in alarm.items() if is_set(value)} for alarm in result[kind]]
    if is_json:
        return status, headers, json.dumps(result).encode()
    content = "".join(element(name, value) for name, value in result.items())
    return ALARMS._xml(200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{content}</DescribeAlarmsResult>")


def is_set(value: Any) -> bool:
    """Return whether CloudWatch would describe an alarm's member with this value."""
    return value is not None and value != ""


def element(name: str, value: Any) -> str:
    """Return a member as the Query protocol's XML."""
    if isinstance(value, dict):
        content = "".join(element(key, member) for key, member in value.items())
    elif isinstance(value, list):
        content = "".join(element("member", member) for member in value)
    elif isinstance(value, bool):
        content = "true" if value else "false"
    elif name.endswith("Timestamp"):
        content = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        content = escape(str(value))
    return f"<{name}>{content}</{name}>"
