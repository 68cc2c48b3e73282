"""Comments and files of cases, as ir-router writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ir_router.cases import comments, file_lines, files

AT = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC)


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
