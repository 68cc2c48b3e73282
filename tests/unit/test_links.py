"""Links to the console and to Slack, and names that become links in Slack."""

from __future__ import annotations

import pytest

from ir_router import links
from ir_router.commands import linking
from ir_router.slack.text import SECTION_LENGTH, escape, linked

IAM = "https://console.aws.amazon.com/iam/home#"


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        ("arn:aws:iam::111122223333:user/jane", f"{IAM}/users/details/jane"),
        ("arn:aws:iam::111122223333:user/path/to/jane@x.y", f"{IAM}/users/details/jane%40x.y"),
        ("arn:aws:iam::111122223333:role/deploy", f"{IAM}/roles/details/deploy"),
        ("arn:aws-cn:iam::111122223333:role/d", "https://console.amazonaws.cn/iam/home#/roles/details/d"),
        ("arn:aws-us-gov:iam::1:user/d", "https://console.amazonaws-us-gov.com/iam/home#/users/details/d"),
        ("arn:aws:iam::111122223333:root", ""),
        ("arn:aws:iam::111122223333:user/", ""),
        ("arn:aws:sts::111122223333:assumed-role/deploy/x", ""),
        ("arn:aws-new:iam::111122223333:user/jane", ""),
        ("arn:aws", ""),
        ("", ""),
    ],
)
def test_given_an_arn_when_linked_then_only_iam_users_and_roles_have_a_url(arn: str, url: str) -> None:
    assert links.principal(arn) == url


def test_given_arns_when_named_then_the_url_is_under_kind_and_name() -> None:
    found = links.principals(["arn:aws:iam::1:user/a/jane", "arn:aws:iam::1:role/deploy", "arn:aws:iam::1:root", ""])
    assert found == {"user jane": f"{IAM}/users/details/jane", "role deploy": f"{IAM}/roles/details/deploy"}


def test_given_a_channel_when_linked_then_the_url_opens_it() -> None:
    assert links.slack_channel("C1") == "https://slack.com/app_redirect?channel=C1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user jane contained.", "<U|user jane> contained."),
        ("by user jane, then user jane", "by <U|user jane>, then <U|user jane>"),
        ("user jane-2 and user jane.smith and user jane@x", "user jane-2 and user jane.smith and user jane@x"),
        ("superuser jane, xuser jane", "superuser jane, xuser jane"),
        ("(user jane) *user jane*", "(<U|user jane>) *<U|user jane>*"),
        ("user bob & user <jane>", "user bob &amp; user &lt;jane&gt;"),
        ("", ""),
    ],
)
def test_given_names_when_linked_then_only_complete_names_become_links(text: str, shown: str) -> None:
    assert linked(escape(text), {"user jane": "U"}) == shown


def test_given_two_names_when_one_begins_the_other_then_the_longer_one_is_linked() -> None:
    urls = {"role a": "A", "role a+b": "AB"}
    assert linked("role a, role a+b", urls) == "<A|role a>, <AB|role a+b>"


def test_given_no_names_or_a_text_that_would_be_too_long_when_linked_then_it_stays() -> None:
    text = "user jane " * (SECTION_LENGTH // 10)
    assert linked(text, {}) == text
    assert linked(text, {"user jane": "https://x"}) == text


def test_given_an_answer_when_it_names_the_case_then_the_first_mention_is_a_link() -> None:
    (block,) = linking.blocks("ID: 123\n*bold* 1234 123", "123", "eu-west-1") or []
    (part,) = block["elements"]
    assert (block["type"], part["type"]) == ("rich_text", "rich_text_section")
    assert part["elements"] == [
        {"type": "text", "text": "ID: "},
        {
            "type": "link",
            "url": "https://console.aws.amazon.com/security-ir/home?region=eu-west-1#/cases/123",
            "text": "123",
        },
        {"type": "text", "text": "\n*bold* 1234 123"},
    ]
    (block,) = linking.blocks("123", "123", "eu-west-1") or []
    assert len(block["elements"][0]["elements"]) == 1


@pytest.mark.parametrize(
    ("text", "case_id"), [("1234", "123"), ("none", "123"), ("x", ""), ("123 " + "x" * 12_000, "123")]
)
def test_given_an_answer_without_the_case_or_a_long_one_when_linked_then_it_stays_plain(
    text: str, case_id: str
) -> None:
    assert linking.blocks(text, case_id, "eu-west-1") is None
