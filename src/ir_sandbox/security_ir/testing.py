"""For tests: a served service and boto3 clients.

with local_security_ir() as sir:
    case_id = sir.service.create_case_as(case_parameters(title="Leaked key"))
    sir.service.faults.lose_answer("CreateCaseComment")
    sir.client().get_case(caseId=case_id)
    sir.events.wait_for(1)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import boto3
from botocore.config import Config

from ir_sandbox.security_ir.application import serve
from ir_sandbox.security_ir.clock import AdjustableClock
from ir_sandbox.security_ir.events import CollectedEvents
from ir_sandbox.security_ir.service import DEFAULT_RESPONSE_TEAM, SecurityIrService

if TYPE_CHECKING:
    from mypy_boto3_security_ir import SecurityIncidentResponseClient
    from mypy_boto3_security_ir.type_defs import CreateCaseRequestTypeDef


@dataclass(frozen=True)
class LocalSecurityIr:
    """A running service. `events` holds its published events; `clock` moves its time."""

    service: SecurityIrService
    url: str
    events: CollectedEvents
    clock: AdjustableClock

    def client(
        self, access_key: str = "local", *, attempts: int = 1, validate: bool = True
    ) -> SecurityIncidentResponseClient:
        """Return a boto3 client.

        Args:
            access_key: The access key, which selects the principal.
            attempts: The number of attempts for a call.
            validate: Whether boto3 validates parameters; without it, invalid parameters reach the service.
        """
        return boto3.client(
            "security-ir",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key="local",  # noqa: S106 - not a secret: it is not checked
            config=Config(
                connect_timeout=120,
                read_timeout=120,
                retries={"total_max_attempts": attempts},
                parameter_validation=validate,
            ),
        )


@contextmanager
def local_security_ir(
    *,
    seed: int | None = None,
    response_team: Sequence[Mapping[str, str]] | None = DEFAULT_RESPONSE_TEAM,
    principals: Mapping[str, str] | None = None,
) -> Iterator[LocalSecurityIr]:
    """Serve a service for a `with` block. See SecurityIrService for the arguments."""
    events, clock = CollectedEvents(), AdjustableClock()
    service = SecurityIrService(
        publish=events, clock=clock, seed=seed, response_team=response_team, principals=principals
    )
    with service:
        server = serve(service)
        try:
            yield LocalSecurityIr(service, server.url, events, clock)
        finally:
            server.close()


def case_parameters(**changes: object) -> CreateCaseRequestTypeDef:
    """Return CreateCase parameters for a self-managed case, with `changes` applied."""
    parameters = {
        "resolverType": "Self",
        "title": "Access key used from an unknown network",
        "description": "CreateAccessKey for backdoor-user.",
        "engagementType": "Security Incident",
        "reportedIncidentStartDate": datetime(2026, 1, 15, 12, 24, 29, tzinfo=UTC),
        "impactedAccounts": ["000123123123"],
        "watchers": [{"email": "jane.smith@example.com", "name": "Jane Smith", "jobTitle": "Incident Commander"}],
    }
    return cast("CreateCaseRequestTypeDef", parameters | changes)
