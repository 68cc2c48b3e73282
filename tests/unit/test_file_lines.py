"""The line about a file in a comment, and the facts in a Slack file object."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.cases import file_lines, files

HOSTED = {"id": "F0123ABC", "name": "a.txt", "size": 5, "mode": "hosted"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"size": 0}, None),  # it can still change
        ({"mode": "tombstone"}, None),
        ({"size": 104_857_600}, None),
        ({"size": 104_857_601}, "100 MB, more than a case accepts"),
        ({"mode": "external", "external_url": "https://a.example/x"}, "an external link: https://a.example/x"),
        ({"mode": "quip", "permalink": "https://a.slack.com/x"}, "a canvas: https://a.slack.com/x"),
        ({"mode": "space"}, "a post"),
        ({"mode": "list"}, "a list"),
        ({"mimetype": "application/vnd.slack-list", "filetype": "list"}, "a list"),
        ({"mimetype": "application/vnd.slack-docs", "filetype": "new"}, "a document"),
    ],
)
def test_given_a_file_of_a_message_when_its_comment_is_written_then_only_certain_reasons_are_stated(
    changes: dict[str, Any], reason: str | None
) -> None:
    assert file_lines.certain_reason(HOSTED | changes) == reason


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"outcome": "copied", "stored_name": "b-F0123ABC.txt"}, "📎 a.txt (attachment b-F0123ABC.txt)"),
        ({"outcome": "copied"}, "📎 a.txt (attachment a-F0123ABC.txt)"),  # a row of an earlier version
        ({"outcome": "not copied", "reason": "empty"}, "📎 a.txt (in Slack only: empty)"),
        (
            {"outcome": "rejected", "stored_name": "b-F0123ABC.txt"},
            "📎 a.txt (attachment b-F0123ABC.txt: rejected by AWS, not available)",
        ),
    ],
)
def test_given_a_finished_file_when_its_line_is_written_then_it_takes_the_place_of_every_earlier_line(
    row: dict[str, Any], line: str
) -> None:
    assert file_lines.finished("a.txt", "F0123ABC", row) == line
    earlier = [file_lines.pending("a (1).txt", "F0123ABC"), "📎 a.txt (attachment a-F0123ABC.txt)"]
    for shown in earlier:
        body = f"[Slack Update] Jane\n{file_lines.pending('a.txt', 'F9999999')}\n{shown}\n\n(Slack C1/1.0)"
        assert file_lines.replaced(body, "F0123ABC", line) == body.replace(shown, line)


def test_given_a_copied_file_that_is_deleted_when_its_line_is_written_then_both_are_stated() -> None:
    row = {"outcome": "copied", "stored_name": "a-F0123ABC.txt"}

    line = file_lines.finished("a.txt", "F0123ABC", row, is_gone=True)

    assert line == "📎 a.txt (deleted in Slack; the copy on the case stays: attachment a-F0123ABC.txt)"


@pytest.mark.parametrize(
    ("file", "shown", "stored"),
    [
        ({"name": "報告書.pdf", "mode": "hosted"}, "報告書.pdf", "file-F0123ABC.pdf"),
        ({"name": "отчёт.docx", "mode": "hosted"}, "отчёт.docx", "file-F0123ABC.docx"),
        ({"name": "تقرير", "mimetype": "application/pdf", "mode": "hosted"}, "تقرير", "file-F0123ABC.pdf"),
        ({"name": "Bericht März.pdf", "mode": "hosted"}, "Bericht März.pdf", "Bericht_Marz-F0123ABC.pdf"),
        (
            {"name": "evidence log é (final).tar.gz", "mode": "hosted"},
            "evidence log é (final).tar.gz",
            "evidence_log_e_final_.tar-F0123ABC.gz",
        ),
        (
            {"name": "-", "title": "Untitled", "mimetype": "text/plain", "mode": "snippet"},
            "Untitled",
            "Untitled-F0123ABC.txt",
        ),
        ({"name": ".bashrc", "mode": "hosted"}, ".bashrc", "bashrc-F0123ABC"),
        ({"name": "Makefile", "mimetype": "text/plain", "mode": "hosted"}, "Makefile", "Makefile-F0123ABC"),
        ({"name": "-rf.sh", "mode": "hosted"}, "-rf.sh", "rf-F0123ABC.sh"),
        ({}, "file F0123ABC", "file_F0123ABC-F0123ABC"),
    ],
)
def test_given_a_name_in_any_script_when_stored_then_it_is_readable_and_keeps_its_extension(
    file: dict[str, Any], shown: str, stored: str
) -> None:
    file = {"id": "F0123ABC", **file}

    assert (files.shown_name(file), files.attachment_name(file)) == (shown, stored)
    assert files.slack_file_id(stored) == "F0123ABC"


def test_given_a_forwarded_message_when_its_files_are_listed_then_the_nested_ones_are_there_once() -> None:
    inner = {"files": [{"id": "F3"}]}
    message = {
        "files": [{"id": "F1"}, "broken", {"name": "without an id"}],
        "attachments": [{"files": [{"id": "F2"}, {"id": "F1"}], "message_blocks": [{"message": inner}]}, None],
    }

    assert [file["id"] for file in files.files_of(message)] == ["F1", "F2", "F3"]


def test_given_all_forms_of_shares_when_the_channels_are_listed_then_none_is_missing() -> None:
    file = {
        "channels": ["C1"],
        "groups": ["C2"],
        "ims": ["D1"],
        "shares": {"public": {"C3": []}, "private": {"C4": []}, "odd": None},
    }

    assert files.channels(file) == {"C1", "C2", "C3", "C4", "D1"}
    assert files.channels({"shares": None}) == set()
