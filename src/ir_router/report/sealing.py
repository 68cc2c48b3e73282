"""Seal the files of a report with its audit record, and open them. Pure.

The audit record has the SHA-256 of the page and of the JSON. Each file ends with, or contains, this record. A file has
one valid form only, so that each changed byte is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ACTION = "report_made"
_PROOF = '<script type="application/json" id="proof">'
_END = "</script></body></html>\n"

Kind = Literal["html", "json"]


class NotAReportError(Exception):
    """The file is no report, or its form was changed."""


@dataclass(frozen=True)
class Opened:
    """An opened file.

    Attributes:
        kind: Which of the two files it is.
        sha256: The SHA-256 of its content, without the audit record.
        record: The audit record in it.
        report: The content, or None for the page.
    """

    kind: Kind
    sha256: str
    record: Mapping[str, Any]
    report: Mapping[str, Any] | None


@dataclass(frozen=True)
class Subject:
    """The subject of the audit record of a report: the case, the version, and the SHA-256 of each content."""

    case_id: str
    version: int
    digests: Mapping[str, str]


def facts(case_id: str, version: int, contents: Mapping[Kind, bytes]) -> dict[str, Any]:
    """Return the details of the audit record of a report."""
    digests = {f"{kind}_sha256": digest(content) for kind, content in contents.items()}
    return {"case_id": case_id, "version": version, **digests}


def subject(record: Mapping[str, Any]) -> Subject:
    """Return the subject of an audit record. Raises NotAReportError for a record of another action."""
    try:
        found = json.loads(record["details"])
        digests = {kind: str(found[f"{kind}_sha256"]) for kind in ("html", "json")}
        if record["action"] == ACTION:
            return Subject(str(found["case_id"]), int(found["version"]), digests)
    except (ValueError, KeyError, TypeError) as error:
        raise NotAReportError("the file has no audit record of a report") from error
    raise NotAReportError("the file has no audit record of a report")


def canonical(value: Any) -> str:
    """Return the only JSON text of a value: ASCII, sorted names, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def seal(kind: Kind, content: bytes, record: Mapping[str, Any]) -> bytes:
    """Return the file of a content: the page, or the JSON text of the report."""
    return _tail(content, record) if kind == "html" else _around(content, record)


def _tail(content: bytes, record: Mapping[str, Any]) -> bytes:
    proof = canonical(dict(record)).replace("<", "\\u003c")
    return content + f"{_PROOF}{proof}{_END}".encode("ascii")


def _around(content: bytes, record: Mapping[str, Any]) -> bytes:
    return b'{"proof":' + canonical(dict(record)).encode("ascii") + b',"report":' + content + b"}\n"


def open_file(data: bytes) -> Opened:
    """Return the parts of a file. Raises NotAReportError unless it has the form that `seal` gave it."""
    try:
        opened = _json(data) if data[:1] == b"{" else _page(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAReportError("the file is no report of ir-router, or it was changed") from error
    if opened is None:
        raise NotAReportError("the form of the file was changed")
    return opened


def _page(data: bytes) -> Opened | None:
    content, _, rest = data.rpartition(_PROOF.encode("ascii"))
    record = json.loads(rest.decode("ascii").removesuffix(_END))
    return Opened("html", digest(content), record, None) if data == _tail(content, record) else None


def _json(data: bytes) -> Opened | None:
    found = json.loads(data)
    content, record = canonical(found["report"]).encode("ascii"), found["proof"]
    return Opened("json", digest(content), record, found["report"]) if data == _around(content, record) else None
