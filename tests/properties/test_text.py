"""Texts of any content between the two sides."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ir_router.slack.text import clean, escape, length_of, quoted, shorten, split, split_escaped, to_plain

# Everything that JSON can carry, including lone surrogates and Slack's active markup.
anything = st.text(st.characters()) | st.lists(
    st.sampled_from(
        [
            "<!channel>",
            "<@U123>",
            "&amp;",
            "<https://evil.example|ok>",
            "\x1b[31m",
            "\ud83d",
            "😀",
            "\r\n",
            "a " * 50,
            "x" * 300,
        ]
    )
).map("".join)


@given(anything)
def test_given_any_text_when_escaped_then_slack_finds_no_markup_in_it(text: str) -> None:
    shown = escape(text)

    assert not re.search(r"[<>]", shown)
    assert not re.search(r"&(?!(amp|lt|gt);)", shown)
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(anything, st.integers(2, 400))
def test_given_any_text_when_split_then_nothing_is_lost_and_no_part_is_too_long(text: str, length: int) -> None:
    parts = split(text, length)

    assert "".join(parts) == text
    assert all(length_of(part) <= length for part in parts)


@given(anything, st.integers(20, 400))
def test_given_any_text_when_split_escaped_then_each_part_is_valid_and_short(text: str, length: int) -> None:
    parts = split_escaped(text, length)

    assert "".join(parts) == escape(text)
    assert all(length_of(part) <= length for part in parts)
    assert not any(re.search(r"&(?!(amp|lt|gt);)", part) for part in parts)


@given(anything, st.integers(100, 400))
def test_given_any_text_when_quoted_then_it_is_one_short_escaped_line(text: str, length: int) -> None:
    line = quoted(text, length, "on the case")

    assert "\n" not in line
    assert length_of(line) <= length
    assert not re.search(r"[<>]|&(?!(amp|lt|gt);)", line)


@given(anything, st.integers(100, 400))
def test_given_any_text_when_shortened_then_what_is_kept_is_its_beginning(text: str, length: int) -> None:
    short = shorten(text, length)

    assert length_of(short) <= length
    assert short == text or text.startswith(short.rpartition("… (")[0])


@given(anything)
def test_given_what_people_type_when_made_plain_then_they_read_what_they_typed(text: str) -> None:
    typed = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # as Slack sends it

    assert to_plain(typed, str, str) == clean(text)
