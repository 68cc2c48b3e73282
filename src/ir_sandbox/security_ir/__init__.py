"""A local AWS Security Incident Response that an unchanged boto3 reaches with `AWS_ENDPOINT_URL_SECURITY_IR`.

`SecurityIrService` is the service; `serve` serves it on a loopback port. Modules:

- model, shapes, protocol: botocore's service model, validation against it, the rest-json protocol
- cases, comments, attachments, memberships, tags, investigations: the operations, on state and records
- events: native events to EventBridge
- faults, settings, calls, clock: controls and logs for tests
- application, control: HTTP
"""

from ir_sandbox.security_ir.application import serve
from ir_sandbox.security_ir.clock import AdjustableClock
from ir_sandbox.security_ir.errors import ApiError
from ir_sandbox.security_ir.events import CollectedEvents, Event, PutEventsPublisher
from ir_sandbox.security_ir.faults import Fault, FaultKind
from ir_sandbox.security_ir.records import Change
from ir_sandbox.security_ir.service import SecurityIrService
from ir_sandbox.security_ir.settings import EventSwitches, Settings

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
