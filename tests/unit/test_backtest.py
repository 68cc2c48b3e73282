"""X13: recorded logs through the detections, by the command that people type."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import uuid
from pathlib import Path
from typing import Any

import pytest

from ir_local import backtest
from ir_router.settings import settings

ACCOUNT = "123456789012"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the result; the settings of a deployment without any."""
    monkeypatch.chdir(tmp_path)
    for name in ("IR_ALLOWED_CIDRS", "IR_ALLOWED_PRINCIPALS", "IR_PROTECTED_PRINCIPALS"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    logs = tmp_path / "logs"
    logs.mkdir()
    return logs


def record(name: str = "DescribeInstances", *, minute: int = 0, **changes: Any) -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:user/mallory"
    identity = {"type": "IAMUser", "arn": arn, "accountId": ACCOUNT, "userName": "mallory", "accessKeyId": "AKIAX"}
    return {
        "eventVersion": "1.09",
        "userIdentity": identity,
        "eventTime": f"2026-01-15T{12 + minute // 60:02}:{minute % 60:02}:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli",
        "eventID": str(uuid.uuid4()),
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
        **changes,
    }


def key_created(user: str, **changes: Any) -> dict[str, Any]:
    created = {"accessKey": {"accessKeyId": "AKIANEW", "userName": user}}
    return record("CreateAccessKey", responseElements=created, requestParameters={"userName": user}, **changes)


def run(path: Path) -> dict[str, Any]:
    """Run from the command line; what was written."""
    settings.cache_clear()
    assert backtest.main([str(path)]) == 0
    result: dict[str, Any] = json.loads(Path("build/backtest.json").read_text("utf-8"))
    return result


def write(path: Path, records: Any) -> None:
    content = json.dumps({"Records": records}).encode()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


def test_given_logs_in_folders_when_run_then_all_is_counted_and_each_principal_contained_once(folder: Path) -> None:
    (folder / "2026").mkdir()
    write(folder / "2026" / "a.json.gz", [key_created("bob"), record(), record("ListUsers", minute=1)])
    write(
        folder / "b.json", [key_created("bob", minute=5), key_created("eve", minute=6), record("ListRoles", minute=7)]
    )
    write(folder / "c.json", [record("ListRoles", minute=90)])

    result = run(folder)

    assert (result["files"], result["records"], result["refused"]) == (3, 7, 0)
    assert result["detections"] == {"create_access_key": 3, "reconnaissance": 3}
    assert result["severities"] == {"HIGH": 3, "MEDIUM": 3}
    assert (result["alerts"], result["grouped"]) == (2, 1)
    assert [(row["principal"].rpartition("/")[2], row["joined"]) for row in result["contained"]] == [
        ("bob", 1),
        ("eve", 0),
    ]


def test_given_a_file_alone_when_run_then_the_table_names_the_principal_and_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "a.json", [key_created("bob")])

    run(folder / "a.json")

    printed = capsys.readouterr().out
    assert "CreateAccessKey for user bob by user mallory from 198.51.100.7" in printed
    assert "Principals contained" in printed
    assert "1 records of 1 files" in printed
    assert "No allowlist and nobody protected: give your tfvars' lists as IR_ALLOWED_CIDRS" in printed


def test_given_an_allowlist_when_run_then_it_says_how_many_entries_were_used(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_ALLOWED_CIDRS", '["203.0.113.0/24", "0.0.0.0/0"]')
    settings.cache_clear()
    write(folder / "a.json", [key_created("bob")])

    run(folder / "a.json")

    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if line.startswith("Allowlist entries used")]
    assert line.split()[-1] == "1"  # the one that is too wide is used nowhere
    assert "No allowlist" not in printed


@pytest.mark.parametrize("content", [b"", b"{", b"[[", b"null", b'{"Records": 1}', b"\x1f\x8bnot gzip", b"\xff\xfe"])
def test_given_a_malformed_file_when_run_then_it_is_named_and_skipped(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (folder / "a.json").write_bytes(content)
    (folder / "b.json.gz").write_bytes(content)
    write(folder / "c.json", [key_created("bob")])

    result = run(folder)

    assert len(result["files_skipped"]) == 2
    assert len(result["contained"]) == 1
    assert str(folder / "a.json") in capsys.readouterr().err


@pytest.mark.parametrize("bad", [None, 1, "text", [], {}, {"eventName": 7}])
def test_given_a_malformed_record_when_run_then_it_is_refused_and_the_others_are_read(folder: Path, bad: Any) -> None:
    write(folder / "a.json", [bad, key_created("bob")])

    result = run(folder)

    assert (result["records"], result["refused"], len(result["contained"])) == (2, 1, 1)


def test_given_an_allowlist_in_the_environment_when_run_then_it_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_ALLOWED_CIDRS", '["198.51.100.0/24"]')
    write(folder / "a.json", [key_created("bob")])

    result = run(folder)

    assert (result["allowlisted"], result["contained"]) == ({"198.51.100.0/24": 1}, [])


def test_given_a_protected_user_when_run_then_it_is_not_contained_and_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_PROTECTED_PRINCIPALS", f'["arn:aws:iam::{ACCOUNT}:user/bob"]')
    write(folder / "a.json", [key_created("bob")])

    result = run(folder)

    assert result["contained"] == []
    assert any("It is protected" in why for why in result["not_contained"])


def test_given_the_same_record_in_two_files_when_run_then_it_counts_once(folder: Path) -> None:
    twice = key_created("bob")
    write(folder / "a.json", [twice])
    write(folder / "b.json", [twice])

    result = run(folder)

    assert (result["duplicates"], result["contained"][0]["joined"]) == (1, 0)


def test_given_nothing_there_when_run_then_it_says_so_and_fails(folder: Path) -> None:
    assert backtest.main([str(folder / "missing")]) == 2
    assert backtest.main([str(folder)]) == 1


def ordinary(count: int) -> list[dict[str, Any]]:
    """Records of the size that CloudTrail's have, few of them matching."""
    parameters = {"filterSet": {"items": [{"name": f"tag:{number}", "valueSet": ["a", "b"]} for number in range(6)]}}
    tls = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "ec2"}
    return [
        record(
            "ListUsers" if number % 50 == 0 else "DescribeInstances",
            minute=number % 600,
            eventSource="ec2.amazonaws.com",
            requestParameters=parameters,
            tlsDetails=tls,
            readOnly=True,
            requestID=str(uuid.uuid4()),
        )
        for number in range(count)
    ]


def test_given_many_records_when_run_then_it_takes_at_most_twice_as_long_as_reading_the_json(folder: Path) -> None:
    for number in range(4):
        write(folder / f"{number}.json", ordinary(5_000))
    contents = [path.read_bytes() for path in backtest.files_of(folder)]
    ratios = []
    for _ in range(5):
        began = time.process_time()
        for content in contents:
            json.loads(content)
        middle = time.process_time()
        with Path("progress").open("w") as progress:
            backtest.run(folder, progress)
        ratios.append((time.process_time() - middle) / (middle - began))

    assert min(ratios) <= 2, ratios


def test_given_many_files_when_run_then_memory_is_that_of_one(folder: Path) -> None:
    def peak(files: int) -> int:
        for number in range(files):
            write(folder / f"{number}.json", ordinary(500))
        tracemalloc.start()
        with Path("progress").open("w") as progress:
            backtest.run(folder, progress)
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    one = peak(1)
    assert peak(12) < one * 1.5
