"""AWS Security Incident Response on this machine: unchanged boto3 talks to it by `AWS_ENDPOINT_URL_SECURITY_IR`.

`SecurityIrService` is the service, `serve` puts it on a loopback port. Where each thing is:

- model, shapes, protocol: botocore's service model, checks against it, rest-json
- cases, comments, attachments, memberships, tags, investigations: the operations, on state and records
- events: native events to EventBridge; faults, settings, calls, clock: what a test may turn and look at
- application, control: HTTP
"""

from ir_local.security_ir.application import serve
from ir_local.security_ir.clock import AdjustableClock
from ir_local.security_ir.errors import ApiError
from ir_local.security_ir.events import CollectedEvents, Event, PutEventsPublisher
from ir_local.security_ir.faults import Fault, FaultKind
from ir_local.security_ir.records import Change
from ir_local.security_ir.service import SecurityIrService
from ir_local.security_ir.settings import EventSwitches, Settings

__all__ = [
    "AdjustableClock",
    "ApiError",
    "Change",
    "CollectedEvents",
    "Event",
    "EventSwitches",
    "Fault",
    "FaultKind",
    "PutEventsPublisher",
    "SecurityIrService",
    "Settings",
    "serve",
]
