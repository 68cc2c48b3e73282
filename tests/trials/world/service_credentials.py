"""Service-specific credentials in moto's IAM, which lacks them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse


@contextmanager
def in_iam() -> Iterator[None]:
    """Let moto create and list service-specific credentials."""
    made: dict[str, list[dict[str, Any]]] = {}

    def create(response: Any) -> ActionResult:
        user, service = response._get_param("UserName"), response._get_param("ServiceName")
        response.backend.get_user(user)  # raises NoSuchEntity
        of_user = made.setdefault(user, [])
        entry = {
            "UserName": user,
            "ServiceName": service,
            "ServiceUserName": f"{user}-at-123456789012",
            "ServiceSpecificCredentialId": f"ACCAEXAMPLE{len(of_user):09}",
            "CreateDate": datetime.now(UTC),
            "Status": "Active",
        }
        of_user.append(entry)
        return ActionResult({"ServiceSpecificCredential": entry | {"ServicePassword": "secret"}})

    def listed(response: Any) -> ActionResult:
        user = response._get_param("UserName")
        response.backend.get_user(user)
        return ActionResult({"ServiceSpecificCredentials": made.get(user, []), "IsTruncated": False})

    with (
        mock.patch.object(IamResponse, "create_service_specific_credential", create, create=True),
        mock.patch.object(IamResponse, "list_service_specific_credentials", listed, create=True),
    ):
        yield
