"""X13: run recorded logs through the detections, with the operator's command."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from ir_operator import __main__ as command
from ir_router.settings import settings

ACCOUNT = "123456789012"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder for the result, and remove the settings of a deployment."""
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
    """Run the command line; return its output."""
    settings.cache_clear()
    assert command.main(["backtest", str(path)]) == 0
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
    assert (
        "No allowlist and no protected principals were set. Set the lists of your tfvars as IR_ALLOWED_CIDRS" in printed
    )


def test_given_an_allowlist_when_run_then_it_says_how_many_entries_were_used(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_ALLOWED_CIDRS", '["203.0.113.0/24", "0.0.0.0/0"]')
    settings.cache_clear()
    write(folder / "a.json", [key_created("bob")])

    run(folder / "a.json")

    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if line.startswith("Allowlist entries used")]
    assert line.split()[-1] == "1"  # no entry that is too wide is used
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


def finding(number: int, severity: float = 8, **changes: Any) -> dict[str, Any]:
    """Return a GuardDuty finding as GuardDuty exports it."""
    details = {"accessKeyId": "AKIAX", "principalId": "AIDAX", "userName": f"user-{number}", "userType": "IAMUser"}
    return {
        "id": f"f-{number}",
        "type": "CredentialAccess:IAMUser/CompromisedCredentials",
        "accountId": ACCOUNT,
        "region": "us-east-1",
        "severity": severity,
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": details},
        "service": {"eventLastSeen": "2026-01-15T12:00:00Z"},
        **changes,
    }


def upper_camel(value: Any) -> Any:
    """Return a finding as the command `aws guardduty get-findings` prints it."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: upper_camel(inner) for name, inner in value.items()}
    return value


def test_given_findings_and_health_events_when_run_then_they_are_assessed_in_every_form(folder: Path) -> None:
    health = {
        "eventArn": "arn:aws:health:global::event/1",
        "service": "RISK",
        "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
        "affectedAccount": ACCOUNT,
        "affectedEntities": [{"entityValue": "eve"}, {"entityValue": "bob"}],
    }
    sent = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "account": ACCOUNT, "detail": finding(3)}
    (folder / "a.jsonl").write_text(f"{json.dumps(finding(1))}\n{json.dumps(finding(4, 2))}\n", "utf-8")
    (folder / "b.json").write_text(json.dumps({"Findings": [upper_camel(finding(2))]}), "utf-8")
    (folder / "c.json").write_text(json.dumps([sent]), "utf-8")
    (folder / "d.json").write_text(json.dumps(health), "utf-8")

    result = run(folder)

    assert [row["principal"].rpartition("/")[2] for row in result["contained"]] == [
        "user-1", "user-2", "user-3", "eve", "bob",
    ]  # fmt: skip
    assert result["logged"] == 1
    assert result["refused"] == 0


def shown(records: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Run the back-test of the records with --json; return the results."""
    settings.cache_clear()
    write(folder / "a.json", records)
    assert command.main(["backtest", str(folder), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def results(records: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str | None]]:
    return [(row["result"], row["severity"]) for row in shown(records, folder, capsys)]


def detached(user: str, **changes: Any) -> dict[str, Any]:
    request = {"userName": user, "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}
    return record("DetachUserPolicy", requestParameters=request, **changes)


def test_given_a_finding_whose_severity_rises_when_run_then_it_is_contained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results([finding(1, 5), finding(1, 8), finding(1, 8)], folder, capsys)

    assert [result for result, _ in found] == ["alerted", "contained", "duplicate"]


def test_given_a_key_whose_owner_only_iam_knows_when_run_then_the_result_states_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = finding(1, 8)
    del nameless["resource"]["accessKeyDetails"]["userName"]
    nameless["resource"]["accessKeyDetails"]["accessKeyId"] = "AKIAIOSFODNN7EXAMPLE"
    health = {
        "eventArn": "arn:aws:health:global::event/1",
        "service": "RISK",
        "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
        "affectedAccount": ACCOUNT,
        "affectedEntities": [{"entityValue": "AKIAIOSFODNN7EXAMPLE"}],
    }

    found = shown([nameless, health], folder, capsys)

    assert [row["result"] for row in found] == ["owner_asked", "owner_asked"]
    assert all("asks IAM" in row["why"] for row in found)


@pytest.mark.parametrize("name", ["AWSReservedSSO_Admin_0123456789abcdef", "AWSServiceRoleForSupport"])
def test_given_a_finding_about_a_role_of_aws_when_run_then_it_is_not_contained(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    about = finding(1, 8)
    about["resource"]["accessKeyDetails"] |= {"userName": name, "userType": "Role", "accessKeyId": "ASIAX"}

    (row,) = shown([about], folder, capsys)

    assert row["result"] == "not_contained"
    assert "Only AWS can change this role" in row["why"]


def test_given_a_detached_deny_policy_when_run_then_only_a_contained_principal_is_contained_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password = record("CreateLoginProfile", minute=3, requestParameters={"userName": "bob"})
    records = [detached("bob"), key_created("bob", minute=1), detached("bob", minute=2), password]

    found = results(records, folder, capsys)

    assert found == [("alerted", "MEDIUM"), ("contained", "HIGH"), ("joined", "HIGH"), ("joined", "HIGH")]


def test_given_an_archived_finding_when_run_then_it_is_not_counted_and_the_reason_is_stated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archived = finding(1, 8, service={"archived": True, "eventLastSeen": "2026-01-15T12:00:00Z"})

    (row,) = shown([archived], folder, capsys)
    outcome = run(folder)

    assert (row["result"], outcome["archived"], outcome["contained"]) == ("archived", 1, [])
    assert "to no rule" in row["why"]
    assert "Suppressed or archived findings" in capsys.readouterr().out


@pytest.mark.parametrize(("partition", "region"), [("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")])
def test_given_records_of_another_partition_when_run_then_protected_principals_match(
    folder: Path, monkeypatch: pytest.MonkeyPatch, partition: str, region: str
) -> None:
    monkeypatch.setenv("IR_PROTECTED_PRINCIPALS", f'["arn:{partition}:iam::{ACCOUNT}:user/*"]')
    global_event = key_created("eve") | {"awsRegion": None}
    global_event["userIdentity"] = {"type": "Root", "arn": f"arn:{partition}:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
    write(folder / "a.json", [key_created("bob", awsRegion=region), finding(1, 8, region=region), global_event])

    result = run(folder)

    assert result["contained"] == []
    assert sum(result["not_contained"].values()) == 3
    assert all("It is protected" in why for why in result["not_contained"])


def test_given_json_when_run_then_each_record_is_one_object_with_detection_severity_whom_and_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = {name: value for name, value in key_created("bob").items() if name != "eventID"}
    write(folder / "a.json", [key_created("bob"), record(), record("ListUsers"), {"unknown": 1}, nameless])

    assert command.main(["backtest", str(folder), "--json"]) == 0

    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shown = [(row["result"], row["detection"], row["severity"], row["whom"]) for row in results]
    assert shown == [
        ("contained", "create_access_key", "HIGH", "key_owner"),
        ("no_detection", None, None, None),
        ("alerted", "reconnaissance", "MEDIUM", "nobody"),
        ("invalid", None, None, None),
        ("invalid", None, None, None),
    ]
    assert "not a CloudTrail record" in results[3]["why"]
    assert "eventID" in results[4]["why"]


def test_given_invalid_records_when_run_then_the_table_gives_their_reasons(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "a.json", [{"unknown": 1}, key_created("bob")])

    run(folder)

    assert (
        "invalid (1): it is not a CloudTrail record, GuardDuty finding or AWS Health event" in capsys.readouterr().out
    )


def test_given_nothing_there_when_run_then_it_says_so_and_fails(folder: Path) -> None:
    assert command.main(["backtest", str(folder / "missing")]) == 2
    assert command.main(["backtest", str(folder)]) == 1


def own_entry(**changes: Any) -> dict[str, Any]:
    pattern = {"source": ["aws.iam"], "detail": {"eventName": ["ListRoles"]}}
    entry = {"id": "roles_listed", "title": "Roles listed", "severity": "MEDIUM", "whom": "nobody", "grouped": "none"}
    return {**entry, "pattern": pattern, **changes}


def test_given_a_file_with_own_detections_when_run_then_they_count_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "log.json", [record("ListRoles", errorCode=None)])
    own = folder.parent / "own.json"
    own.write_text(json.dumps({"detections": [own_entry()]}), "utf-8")

    assert command.main(["backtest", str(folder), "--extra", str(own)]) == 0
    assert json.loads(Path("build/backtest.json").read_text("utf-8"))["detections"]["roles_listed"] == 1
    own.write_text(json.dumps({"detections": [own_entry(whom="everybody")]}), "utf-8")
    assert command.main(["backtest", str(folder), "--extra", str(own)]) == 2
    assert "whom must be one of" in capsys.readouterr().err
    assert "roles_listed" not in run(folder)["detections"]
