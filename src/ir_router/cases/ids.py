"""The ids of cases. Pure."""

from __future__ import annotations

import re

# botocore's model of `security-ir` allows further characters at the end (`[0-9]{10,32}.*`). AWS assigns digits only.
_CASE_ID = re.compile(r"[0-9]{10,32}")


def is_case_id(value: object) -> bool:
    """Return whether a value has the form of a case id. Others must reach no key of the ledger and no call."""
    return isinstance(value, str) and _CASE_ID.fullmatch(value) is not None
