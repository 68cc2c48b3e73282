"""Sealed reports (sealing): the bytes of both files, their parts when they are opened, and files that are refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ir_router.report import sealing

PAGE = "<h1>é</h1>\n".encode()
REPORT = b'{"a":"\\u00e9 <","z":[1,{"b":null}]}'
DETAILS = '{"version":3,"case_id":12,"json_sha256":5,"html_sha256":6}'
RECORD = {"z": 1, "action": "report_made", "details": DETAILS, "who": "é </script>"}
# The names in order, without spaces and in ASCII.
SORTED = json.dumps(dict(sorted(RECORD.items())), separators=(",", ":"))
FILES: dict[Any, tuple[bytes, bytes]] = {
    "html": (
        PAGE,
        PAGE
        + b'<script type="application/json" id="proof">'
        + SORTED.replace("<", "\\u003c").encode()
        + b"</script></body></html>\n",
    ),
    "json": (REPORT, b'{"proof":' + SORTED.encode() + b',"report":' + REPORT + b"}\n"),
}


@pytest.mark.parametrize("kind", FILES)
def test_given_a_content_and_its_record_when_sealed_and_opened_then_bytes_and_parts_are_these(kind: Any) -> None:
    content, file = FILES[kind]
    report = json.loads(REPORT) if kind == "json" else None

    assert sealing.canonical({"z": [1, {"b": None}], "a": "é <"}).encode() == REPORT
    assert sealing.seal(kind, content, RECORD) == file
    assert sealing.open_file(file) == sealing.Opened(kind, hashlib.sha256(content).hexdigest(), RECORD, report)
    assert sealing.facts("12", 3, {name: content for name, (content, _) in FILES.items()}) == {
        "case_id": "12",
        "version": 3,
        "html_sha256": hashlib.sha256(PAGE).hexdigest(),
        "json_sha256": hashlib.sha256(REPORT).hexdigest(),
    }
    assert sealing.subject(RECORD) == sealing.Subject("12", 3, {"html": "6", "json": "5"})


_FORM = "the form of the file was changed"
_OTHER = "the file is no report of ir-router, or it was changed"


@pytest.mark.parametrize(
    ("file", "error", "cause"),
    [
        (FILES["html"][1] + b"\n", _OTHER, ValueError),
        (FILES["html"][1].replace(b'"z":1', b'"z": 1'), _FORM, None),
        (FILES["json"][1].replace(b'"z":1', b'"z": 1'), _FORM, None),
        (FILES["json"][1][:-1], _FORM, None),
        (FILES["json"][1].replace(b'"z":[', b'"z": ['), _FORM, None),
        (b'{"report":1}', _OTHER, KeyError),
        (b'{"proof":[],"report":1}', _FORM, None),
        (b'{"proof":1,"report":1}', _OTHER, TypeError),
        (b'{"a":' * 100_000, _OTHER, RecursionError),
        (b"", _OTHER, ValueError),
        (b"\xff", _OTHER, ValueError),
    ],
)
def test_given_another_form_of_a_file_when_opened_then_the_error_states_what_was_changed(
    file: bytes, error: str, cause: type[Exception] | None
) -> None:
    with pytest.raises(sealing.NotAReportError) as raised:
        sealing.open_file(file)

    assert str(raised.value) == error
    assert isinstance(raised.value.__cause__, cause) if cause else raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"action": "case_erased"}, None),
        ({"details": "{"}, ValueError),
        ({"details": None}, TypeError),
        ({"details": DETAILS.replace("3", "null")}, TypeError),
        ({"details": DETAILS.replace("version", "x")}, KeyError),
        ({"details": DETAILS.replace("html", "x")}, KeyError),
    ],
)
def test_given_a_record_of_another_fact_when_read_then_it_is_refused_with_the_cause(
    changes: dict[str, Any], cause: type[Exception] | None
) -> None:
    with pytest.raises(sealing.NotAReportError) as raised:
        sealing.subject(RECORD | changes)

    assert str(raised.value) == "the file has no audit record of a report"
    assert isinstance(raised.value.__cause__, cause) if cause else raised.value.__cause__ is None
