"""The pure functions about cases, to the letter: texts that people read, forms that the ledger stores, and limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ir_router.cases import addresses, changes, comments, file_lines, files, fingerprints, ids, imports, quotas, status
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


# Addresses


@pytest.mark.parametrize(
    ("address", "mailbox", "without_suffix", "domain"),
    [
        (" Jane.Smith+work@Example.com ", "janesmith@example.com", "Jane.Smith@Example.com", "example.com"),
        ("jane@example.com", "jane@example.com", "jane@example.com", "example.com"),
        ("a@b@Example.com", "a@b@example.com", "a@b@Example.com", "example.com"),
        ("nobody", "", "nobody", ""),
        ("", "", "", ""),
    ],
)
def test_given_an_address_when_compared_then_its_variants_are_one_mailbox(
    address: str, mailbox: str, without_suffix: str, domain: str
) -> None:
    assert addresses.same_mailbox(address) == mailbox
    assert addresses.without_suffix(address) == without_suffix
    assert addresses.domain_of(address) == domain
    assert addresses.is_within(address, [" Example.COM ", "other.example"]) is bool(domain)
    assert not addresses.is_within(address, ["com", "sub.example.com"])


# Comments


def test_given_a_message_of_several_parts_when_written_then_each_comment_has_number_time_and_reference() -> None:
    assert comments.from_slack(["one", "two"], "Jane", AT, "C1", "17.5", remarks=", edited") == [
        "[Slack Update] Jane, edited, part 1 of 2 (2026-01-15 12:30:59 UTC)\none\n\n(Slack C1/17.5)",
        "[Slack Update] Jane, edited, part 2 of 2 (2026-01-15 12:30:59 UTC)\ntwo\n\n(Slack C1/17.5 part 2)",
    ]
    (only,) = comments.from_slack(["text"], "Jane", AT, "C1", "17.5")
    assert only == "[Slack Update] Jane (2026-01-15 12:30:59 UTC)\ntext\n\n(Slack C1/17.5)"
    (third,) = comments.from_slack(["text"], "Jane", AT, "C1", "17.5", only_part=2)
    assert third.endswith("text\n\n(Slack C1/17.5 part 3)")


def test_given_comments_of_ir_router_when_written_then_their_names_are_read_from_them() -> None:
    system = comments.system_comment("text", "notice-1", "(part 2 of 3) ")
    assert system == "[AWS Security IR Update] (part 2 of 3) text\n\n(ir-router notice-1)"
    private = comments.private_comment("text", "Jane", AT, "command-1")
    assert private == (
        "[Slack Update] Jane, not in the channel (2026-01-15 12:30:59 UTC)\ntext\n\n(ir-router command-1)"
    )
    approval = comments.shown_by_approval("text", "a1")
    assert approval == "text\n\n(ir-router approval-a1)"
    assert [comments.system_reference(body) for body in (system, private, approval, "text")] == [
        "notice-1",
        "command-1",
        "approval-a1",
        None,
    ]
    assert [comments.approval_reference(body) for body in (approval, system, "text")] == ["a1", None, None]


def test_given_a_reference_when_read_then_channel_time_and_part_are_its_own() -> None:
    first = comments.slack_reference("x\n\n(Slack C1/17.5)\n")
    third = comments.slack_reference("x\n\n(Slack C1/17.5 part 3)")
    assert first is not None
    assert third is not None
    assert (first.channel_id, first.ts, first.part, first.row) == ("C1", "17.5", 0, "17.5#0")
    assert (third.part, third.row) == (2, "17.5#2")
    assert comments.slack_reference("(Slack C1/17.5) and more") is None


@pytest.mark.parametrize(
    "line",
    [
        "[Slack Update] Jane",
        " *_~`[ SLACK  update ]",
        "[AWS Security IR Update] x",
        "[Ａws Security\u200b IR Update]",
        "(This message was deleted in Slack.)",
        "(Slack C1/17.5)",
        "(ir-router notice)",
    ],
)
def test_given_a_line_that_looks_like_ir_routers_when_copied_then_only_it_is_set_apart(line: str) -> None:
    assert comments.set_apart(f"before\n{line}\nafter") == f"before\n> {line}\nafter"
    assert comments.set_apart(f"text {line}") == f"text {line}"


def test_given_a_long_text_when_cut_then_the_limit_is_exact_and_the_length_is_stated() -> None:
    assert comments.at_most(50, "x" * 50) == "x" * 50
    assert comments.at_most(50, "x" * 1_051) == "x" * 18 + "… (cut; 1,051 characters in all)"
    assert comments.at_most(4_000, "😀" * 2_000) == "😀" * 2_000
    assert len(comments.at_most(4_000, "😀" * 2_001).encode("utf-16-le")) <= 8_000
    assert comments.part_length() == 11_400
    cut = comments.shown_by_approval("x" * 11_401, "a1").partition("\n")[0]
    assert (len(cut), cut[-35:]) == (11_400, "xx… (cut; 11,401 characters in all)")


def test_given_a_comment_when_marked_deleted_then_the_mark_follows_the_first_line_once() -> None:
    assert comments.marked_deleted("a\nb\nc") == "a\n(This message was deleted in Slack.)\nb\nc"
    assert comments.marked_deleted("a") == "a\n(This message was deleted in Slack.)"
    assert comments.body_hash("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


# Files


@pytest.mark.parametrize(
    ("file", "is_web_page"),
    [
        ({"mimetype": "text/html; charset=utf-8"}, True),
        ({"mimetype": "application/xhtml+xml"}, True),
        ({"mimetype": "multipart/related"}, True),
        ({"mimetype": "message/rfc822"}, True),
        ({"name": "A.HTML"}, True),
        ({"filetype": "html"}, True),
        ({"filetype": "email"}, True),
        ({"mode": "email"}, True),
        ({"mimetype": "text/plain", "name": "html.txt", "filetype": "text", "mode": "hosted"}, False),
        ({}, False),
    ],
)
def test_given_a_file_when_its_content_is_html_then_html_is_no_sign_of_a_refused_download(
    file: dict[str, Any], is_web_page: bool
) -> None:
    assert files.is_web_page(file) is is_web_page


@pytest.mark.parametrize("ending", [".html", ".htm", ".xhtml", ".shtml", ".mht", ".mhtml", ".eml", ".email"])
def test_given_the_name_of_a_page_or_mail_when_read_then_it_is_one(ending: str) -> None:
    assert files.is_web_page({"name": f"a{ending}"})


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ({"mode": "quip"}, "canvas"),
        ({"mode": "canvas"}, "canvas"),
        ({"mode": "space"}, "post"),
        ({"mode": "post"}, "post"),
        ({"mode": "docs"}, "post"),
        ({"mode": "list"}, "list"),
        ({"mode": "hosted", "mimetype": "application/vnd.slack-docs", "filetype": "quip"}, "canvas"),
        ({"mode": "hosted", "mimetype": "application/vnd.slack-docs"}, "document"),
        ({"mode": "hosted", "mimetype": "text/plain", "filetype": "list"}, None),
        ({}, None),
    ],
)
def test_given_a_document_of_slack_when_read_then_its_kind_is_known(file: dict[str, Any], kind: str | None) -> None:
    assert files.document_kind(file) == kind


def test_given_a_slack_file_when_read_then_its_state_and_addresses_are_its_own() -> None:
    here = {"url_private_download": "https://d", "url_private": "https://p", "permalink": "https://l"}
    assert files.download_url(here) == "https://d"
    assert files.download_url({"url_private": "https://p"}) == "https://p"
    assert files.download_url({}) == ""
    assert files.link(here | {"external_url": "https://e"}) == "https://l"
    assert files.link({"mode": "external", "external_url": "https://e", "permalink": "https://l"}) == "https://e"
    assert files.link({"mode": "external", "permalink": "https://l"}) == "https://l"
    assert files.link({}) == ""
    assert files.is_external({"is_external": True})
    assert not files.is_external({"is_external": True, "url_private": "https://p"})
    assert not files.is_external({"is_external": "yes"})
    states = [{"mode": mode} for mode in ("tombstone", "hidden_by_limit", "hosted")]
    assert [files.is_deleted(file) for file in states] == [True, False, False]
    assert [files.is_gone(file) for file in states] == [True, True, False]


def test_given_long_names_when_made_safe_then_name_and_extension_have_their_limits() -> None:
    longest = files.safe_name("a" * 300 + "." + "b" * 30, "F0123ABC")
    assert longest == "a" * (255 - len("-F0123ABC.") - 20) + "-F0123ABC." + "b" * 20
    assert files.safe_name(" .txt", "F0123ABC") == "txt-F0123ABC"
    assert files.safe_name("a b.t-x", "F0123ABC", "text/plain") == "a_b-F0123ABC.tx"
    assert files.safe_name("a", "F0123ABC", "application/octet-stream") == "a-F0123ABC"
    assert files.safe_name("a", "F0123ABC", "no/such") == "a-F0123ABC"
    assert files.slack_file_id("a-F01234.txt") is None
    assert files.slack_file_id("a-F012345.txt") == "F012345"
    assert files.shown_name({"name": "--", "title": 7}) == "file"
    assert files.attachment_name({"id": "F0123ABC", "name": "a", "mode": "snippet", "mimetype": "text/plain"}) == (
        "a-F0123ABC.txt"
    )
    assert files.attachment_name({"id": "F0123ABC", "name": "-", "mode": "hosted", "mimetype": "text/plain"}) == (
        "file_F0123ABC-F0123ABC.txt"
    )


def test_given_forwarded_messages_in_each_other_when_listed_then_four_levels_are_read() -> None:
    def wrapped(levels: int, forwarded: bool) -> dict[str, Any]:
        inner = wrapped(levels - 1, forwarded) if levels else {}
        inside = [{"message_blocks": [{"message": inner}]}] if forwarded else [inner]
        return {"files": [{"id": f"F{levels}"}]} | ({"attachments": inside} if levels else {})

    attached = [file["id"] for file in files.files_of(wrapped(6, forwarded=False))]
    assert attached == ["F6", "F5", "F4", "F3", "F2"]
    forwarded = [file["id"] for file in files.files_of(wrapped(6, forwarded=True))]
    assert forwarded == ["F6", "F5", "F4", "F3", "F2"]
    assert files.files_of({"files": [{"id": ""}, {"id": 7}]}) == []


def test_given_lines_about_files_when_written_then_each_states_where_the_file_is() -> None:
    gone = {"outcome": "not copied", "reason": "deleted before it was copied"}
    large = {"outcome": "not copied", "reason": "empty"}
    assert file_lines.pending("a", "F1") == "📎 a (file F1, being copied to the case)"
    assert file_lines.deleted("a") == "📎 a (deleted in Slack)"
    assert file_lines.finished("a", "F1", gone) == "📎 a (deleted in Slack)"
    assert file_lines.finished("a", "F1", large, is_gone=True) == "📎 a (deleted in Slack)"
    assert file_lines.finished("a", "F1", {"outcome": "not copied"}) == "📎 a (in Slack only: not copied)"
    assert file_lines.finished("a", "F1", {"outcome": "copied", "stored_name": "s"}) == "📎 a (attachment s)"
    assert file_lines.from_case("a", "s") == "📎 a (attachment s of this case)"
    assert file_lines.from_case("a", "") == "📎 a (from this case)"
    assert file_lines.stays("a", "empty") == "📎 a (in Slack only: empty)"
    assert file_lines.HIDDEN == "hidden by the limit of the workspace's Slack plan"
    assert file_lines.certain_reason({"size": 314_572_800}) == "300 MB, more than a case accepts"
    assert file_lines.certain_reason({"size": "big"}) is None
    other = "x\n📎 b (attachment b-F10.txt)\n"
    assert file_lines.replaced(other, "F1", "📎 a") == other


# Digests in the ledger. Rows of deployed versions contain these values, so they never change.


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


# Followed fields


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


# Statuses

RECOVERY = "Containment, Eradication and Recovery"


@pytest.mark.parametrize(
    ("before", "wanted", "steps"),
    [
        ("Submitted", "Submitted", ()),
        ("Submitted", "Detection and Analysis", ("Detection and Analysis",)),
        ("Submitted", RECOVERY, ("Detection and Analysis", RECOVERY)),
        ("Submitted", "Post-incident Activities", ("Detection and Analysis", "Post-incident Activities")),
        ("Acknowledged", RECOVERY, ("Detection and Analysis", RECOVERY)),
        (RECOVERY, "Detection and Analysis", ("Detection and Analysis",)),
        (RECOVERY, "Submitted", ("Submitted",)),
        ("Post-incident Activities", RECOVERY, (RECOVERY,)),
        ("Closed", "Submitted", ("Submitted",)),
    ],
)
def test_given_a_status_when_another_is_wanted_then_each_step_is_documented(
    before: str, wanted: str, steps: tuple[str, ...]
) -> None:
    assert status.way(before, wanted) == steps


def test_given_a_status_when_read_then_what_can_follow_and_its_words_are_these() -> None:
    later = ("Detection and Analysis", RECOVERY, "Post-incident Activities")
    assert status.reachable("Submitted") == status.reachable("Acknowledged") == later
    assert status.reachable("Detection and Analysis") == later[1:]
    assert status.reachable(RECOVERY) == ("Post-incident Activities", "Detection and Analysis")
    assert status.reachable("Post-incident Activities") == (RECOVERY, "Detection and Analysis")
    assert status.reachable("Closed") == ()
    shown = {name: status.shown(name) for name in (*status.STATUSES, "Odd", "")}
    assert shown == {
        "Submitted": "Open (Submitted)",
        "Acknowledged": "In Progress (Acknowledged)",
        "Detection and Analysis": "In Progress (Detection and Analysis)",
        RECOVERY: f"In Progress ({RECOVERY})",
        "Post-incident Activities": "Resolved (Post-incident Activities)",
        "Ready to Close": "Resolved (Ready to Close)",
        "Closed": "Closed",
        "Odd": "Odd",
        "": "Unknown",
    }
    assert status.specified("Odd") == "Odd"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("open", "Submitted"),
        ("In_Progress", "Detection and Analysis"),
        ("in–progress!", "Detection and Analysis"),
        (" resolved. ", "Post-incident Activities"),
        ("CONTAINMENT", RECOVERY),
        ("eradication  and recovery", RECOVERY),
        ("closed", "Closed"),
        ("ready-to-close", "Ready to Close"),
        ("done", None),
        ("", None),
    ],
)
def test_given_a_typed_status_when_read_then_either_vocabulary_counts(typed: str, meant: str | None) -> None:
    assert status.parse(typed) == meant


# Quotas and ids


def test_given_cases_when_counted_then_closed_ones_count_only_for_the_day_on_which_they_were_made() -> None:
    now = AT.timestamp()

    def row(resolver: str | None, state: str, seconds: float | None) -> CaseRow:
        made = None if seconds is None else AT - timedelta(seconds=seconds)
        return CaseRow(case_id="1", resolver_type=resolver, case_status=state, created_date=made)

    rows = [
        row("Self", "Submitted", 1),
        row("Self", "Closed", 1),
        row("AWS", "Submitted", 86_399),
        row("AWS", "Closed", 86_399),
        row("AWS", "Submitted", 86_400),
        row(None, "Submitted", None),
    ]
    found = quotas.count(rows, now)
    assert found == {"self_managed": 1, "aws_supported": 3, "new_aws_supported": 2}
    assert quotas.add(found, {"self_managed": "2", "aws_supported": 4}) == {
        "self_managed": 3,
        "aws_supported": 7,
        "new_aws_supported": 2,
    }


@pytest.mark.parametrize(
    ("value", "is_id"),
    [
        ("1" * 10, True),
        ("1" * 32, True),
        ("1" * 9, False),
        ("1" * 33, False),
        ("123456789x", False),
        (1234567890, False),
    ],
)
def test_given_a_value_when_it_has_not_the_form_of_a_case_id_then_it_is_none(value: object, is_id: bool) -> None:
    assert ids.is_case_id(value) is is_id


def test_given_a_case_of_the_moment_of_the_first_poll_when_asked_then_it_is_synchronised() -> None:
    assert imports.is_ours(100, closed=True, first_poll=100, initial_import="none")
    assert not imports.is_ours(99, closed=True, first_poll=100, initial_import="none")
