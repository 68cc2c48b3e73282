"""The fixtures of the scenarios and plans. An attack must also stay within the permissions of the functions' roles."""

from __future__ import annotations

from tests.scenarios.conftest import (
    _within_rights,
    case_id,
    channel,
    contained,
    jane,
    machine,
    security_channel,
    waiting,
)
from tests.terraform.conftest import enforcing, root

__all__ = [
    "_within_rights",
    "case_id",
    "channel",
    "contained",
    "enforcing",
    "jane",
    "machine",
    "root",
    "security_channel",
    "waiting",
]
