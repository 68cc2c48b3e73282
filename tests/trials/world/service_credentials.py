"""Credentials of users that moto's IAM lacks or dates wrongly.

moto has no service-specific credentials, gives a login profile the date of its user, and uses the machine's clock:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_LoginProfile.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult
from moto.iam import models
from moto.iam.responses import IamResponse


@contextmanager
def in_iam(now: Callable[[], float]) -> Iterator[None]:
    """Let moto create and list service-specific credentials, date login profiles, and use this clock."""
    made: dict[str, list[dict[str, Any]]] = {}

    def time() -> datetime:
        return datetime.fromtimestamp(now(), UTC)

    def naive_time() -> datetime:
        return time().replace(tzinfo=None)

    create_profile, get_profile = IamResponse.create_login_profile, IamResponse.get_login_profile

    def dated(response: Any, answer: Any) -> Any:
        profile = answer.result["LoginProfile"]
        profile["CreateDate"] = response.backend.users[profile["UserName"]].password_date
        return answer

    def created_profile(response: Any) -> Any:
        answer: Any = create_profile(response)
        response.backend.users[answer.result["LoginProfile"]["UserName"]].password_date = datetime.fromtimestamp(
            now(), UTC
        )
        return dated(response, answer)

    def got_profile(response: Any) -> Any:
        return dated(response, get_profile(response))

    def create(response: Any) -> ActionResult:
        user, service = response._get_param("UserName"), response._get_param("ServiceName")
        response.backend.get_user(user)  # raises NoSuchEntity
        of_user = made.setdefault(user, [])
        entry = {
            "UserName": user,
            "ServiceName": service,
            "ServiceUserName": f"{user}-at-123456789012",
            "ServiceSpecificCredentialId": f"ACCAEXAMPLE{len(of_user):09}",
            "CreateDate": time(),
            "Status": "Active",
        }
        of_user.append(entry)
        return ActionResult({"ServiceSpecificCredential": entry | {"ServicePassword": "secret"}})

    def listed(response: Any) -> ActionResult:
        user = response._get_param("UserName")
        response.backend.get_user(user)
        return ActionResult({"ServiceSpecificCredentials": made.get(user, []), "IsTruncated": False})

    with (
        mock.patch.object(models, "utcnow", naive_time),
        mock.patch.object(IamResponse, "create_service_specific_credential", create, create=True),
        mock.patch.object(IamResponse, "list_service_specific_credentials", listed, create=True),
        mock.patch.object(IamResponse, "create_login_profile", created_profile),
        mock.patch.object(IamResponse, "get_login_profile", got_profile),
    ):
        yield
