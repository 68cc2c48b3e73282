"""Digests of cases in the ledger, and the followed fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ir_router.cases import changes, fingerprints
from ir_router.cases.fingerprints import Reading
from ir_router.cases.followed_fields import FOLLOWED, values, with_values
from ir_router.cases.models import Attachment, Case, CaseEdit, CaseRow, Comment, Person

AT = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC)
FILE = Attachment(attachment_id="a", file_name="f", attachment_status="Pending", creator="x", created_date=AT)
CASE = Case(
    case_id="1234567890",
    case_arn="arn",
    title="t",
    description="d",
    case_status="Submitted",
    watchers=[Person(email="B@example.com"), Person(email="a@example.com")],
    impacted_accounts=["2", "1"],
    impacted_services=["S3", "EC2"],
    impacted_aws_regions=[{"region": "us-east-1"}, {"region": "eu-west-1"}, {}],
    threat_actor_ip_addresses=[{"ipAddress": "198.51.100.2"}, {"ipAddress": "198.51.100.1"}, {}],
    resolver_type="Self",
    last_updated_date=AT,
)
READING = Reading(CASE, [Person(email="C@example.com")], [Comment(comment_id="1", body="one")], {"severity": "High"})
ROW_DIGEST = "01a6:ededa7de,698e:74234e98,6fd8:74234e98,87df:8ca5d815,acae:c6c415f9,e4ba:74234e98,f079:747e524b"
FIELDS = (
    "133c:5f93fe6e,136e:50f9f6a9,17e7:c6c415f9,1b9c:702a4df3,28b8:46987bb7,{severity}7f7e:f2953d29,89f2:47a8eac2,"
    "8b75:3fa5834d,b50f:12ae32cb,c227:f2953d29,c396:747e524b,eb2c:8ca5d815"
)
EMPTY = "4f53cda18c2baa0c0354bb5f"
FINGERPRINT = f"{FIELDS.format(severity='5204:b7712746,')}.392c577da2466632f67bc05f.{EMPTY}.e0a71a87bcdb2029d75a16cc"
FINGERPRINT_OF_FEW = f"{FIELDS.format(severity='')}.-.{EMPTY}.{EMPTY}"
OLD_ROW_DIGEST = "554cfce0c17dcbbaf4fb8279"
OLD_FIELDS_DIGEST = "18596fa940c4ab954f89e316"


def test_given_a_case_when_its_digests_are_taken_then_they_equal_those_of_earlier_versions() -> None:
    assert fingerprints.row_digest(CASE) == ROW_DIGEST
    assert fingerprints.fingerprint(READING) == FINGERPRINT
    assert fingerprints.fingerprint(Reading(CASE, [], None, None)) == FINGERPRINT_OF_FEW


def test_given_a_row_of_the_list_when_compared_then_any_common_field_counts() -> None:
    row = CaseRow(case_id="1234567890", title="t", case_status="Submitted", resolver_type="Self", last_updated_date=AT)
    stored = fingerprints.row_digest(row)
    assert not fingerprints.row_differs(stored, row)
    assert not fingerprints.row_differs(stored, row.model_copy(update={"last_updated_date": AT.replace(microsecond=5)}))
    assert fingerprints.row_differs(stored, row.model_copy(update={"last_updated_date": AT + timedelta(seconds=1)}))
    assert fingerprints.row_differs(stored, row.model_copy(update={"closed_date": AT}))
    assert fingerprints.row_differs(stored, row.model_copy(update={"pending_action": "Customer"}))
    assert fingerprints.row_differs("0000:1111", row)
    assert not fingerprints.row_differs(stored.rpartition(",")[0], row)
    old = OLD_ROW_DIGEST
    assert not fingerprints.row_differs(old, row)
    assert fingerprints.row_differs(old, row.model_copy(update={"title": "u"}))
    assert fingerprints.row_differs(None, row)


def test_given_a_fingerprint_without_some_fields_when_completed_then_what_was_stored_stays() -> None:
    stored = fingerprints.fingerprint(READING)
    assert fingerprints.completed(stored, READING) is None
    fields, *others = stored.split(".")
    first, *further = fields.split(",")
    assert fingerprints.completed(".".join((",".join(further), *others)), READING) == stored
    older = ".".join((",".join([f"{first[:5]}00000000", *further[1:]]), *others))
    completed = fingerprints.completed(older, READING)
    assert completed is not None
    assert completed.split(",")[0] == f"{first[:5]}00000000"
    assert fingerprints.completed(".".join(("0" * 24, *others)), READING) == stored


def test_given_a_fingerprint_of_all_fields_in_one_digest_when_compared_then_in_the_old_way() -> None:
    _, *others = fingerprints.fingerprint(READING).split(".")
    old = ".".join((OLD_FIELDS_DIGEST, *others))
    assert fingerprints.what_differs(old, READING) is None
    changed = CASE.model_copy(update={"closure_code": "False Positive"})
    assert fingerprints.what_differs(old, Reading(changed, READING.team, READING.comments)) == "CaseUpdated"
    unrelated = CASE.model_copy(update={"last_updated_date": None, "case_attachments": [FILE]})
    assert fingerprints.what_differs(old, Reading(unrelated, READING.team, None)) == "AttachmentAdded"


def test_given_the_followed_fields_when_read_then_the_ledger_stores_these_values_under_these_names() -> None:
    assert values(CASE, {"severity": "High"}) == {
        "slackChannelCaseTitle": "t",
        "slackChannelCaseDescription": "d",
        "slackChannelCaseStatus": "Submitted",
        "slackChannelCaseSeverity": "High",
        "slackChannelCasePendingAction": "None",
        "slackChannelCaseClosureCode": "None",
        "slackChannelCaseResolverType": "Self",
        "slackChannelCaseEngagementType": "",
        "slackChannelCaseImpactedAccounts": "1, 2",
        "slackChannelCaseImpactedServices": "EC2, S3",
        "slackChannelCaseImpactedRegions": ", eu-west-1, us-east-1",
        "slackChannelCaseThreatActorAddresses": ", 198.51.100.1, 198.51.100.2",
    }
    assert "slackChannelCaseSeverity" not in values(CASE, None)
    assert values(CASE, {})["slackChannelCaseSeverity"] == "Not set"
    assert [field.label for field in FOLLOWED] == [
        "Title",
        "Description",
        "Status",
        "Severity",
        "Pending action",
        "Closure code",
        "Resolver",
        "Type",
        "Impacted accounts",
        "Impacted services",
        "Impacted regions",
        "Threat actor IP addresses",
    ]
    assert [field.tag for field in FOLLOWED if field.tag] == ["severity"]


def test_given_stored_values_when_put_into_the_case_then_only_text_fields_that_differ_change() -> None:
    stored = {
        "slackChannelCaseTitle": "old",
        "slackChannelCasePendingAction": "None",
        "slackChannelCaseSeverity": "Low",
    }
    before = with_values(CASE, stored)
    assert before == CASE.model_copy(update={"title": "old"})
    assert before.pending_action is None


def test_given_values_before_and_after_when_compared_then_changes_are_shown_in_order_and_new_fields_are_stored() -> (
    None
):
    before = {"slackChannelCaseStatus": "Submitted", "slackChannelCaseTitle": "t", "slackChannelCaseDescription": "d"}
    after = {
        "slackChannelCaseTitle": "u",
        "slackChannelCaseDescription": "d",
        "slackChannelCaseStatus": "Closed",
        "slackChannelCaseSeverity": "High",
    }
    assert changes.differences(before, after) == [
        changes.FieldChange("slackChannelCaseTitle", "Title", "t", "u", "u"),
        changes.FieldChange("slackChannelCaseStatus", "Status", "Open (Submitted)", "Closed", "Closed"),
    ]
    assert changes.not_stored(before, after) == {"slackChannelCaseSeverity": "High"}
    edits = [
        CaseEdit(principal="alice"),
        CaseEdit(principal="bob", action="x"),
        CaseEdit(principal="eve", action="COMMENT"),
    ]
    assert changes.changed_by(edits) == "bob"
    assert changes.changed_by([]) is None
