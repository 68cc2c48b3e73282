"""Rich text and tables as plain text: every element, mark, number and level."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.slack.content import reader
from ir_router.slack.content.reading import Reading, string
from ir_router.slack.content.rich_text import rich_text
from ir_router.slack.content.tables import table


class Names:
    """Names that differ from the ids."""

    def real_name(self, user_id: str) -> str:
        return f"user {user_id}"

    def channel(self, channel_id: str) -> str:
        return f"channel-{channel_id}"

    def group(self, group_id: str) -> str:
        return f"@group-{group_id}"


def shown(*elements: dict[str, Any]) -> str:
    return rich_text({"type": "rich_text", "elements": list(elements)}, Reading(Names()))


def section(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": list(elements)}


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, "style": style}


def listed(*items: str, style: str = "ordered", **more: int) -> str:
    return shown({"type": "rich_text_list", "style": style, "elements": [section(words(one)) for one in items], **more})


@pytest.mark.parametrize(
    ("indent", "offset", "mark"),
    [
        (0, 0, "1."),
        (0, -4, "1."),
        (0, 9, "10."),
        (0, 200_000, "100001."),
        (1, 0, "a."),
        (1, 25, "z."),
        (1, 26, "aa."),
        (1, 701, "zz."),
        (1, 702, "aaa."),
        (2, 0, "i."),
        (2, 3, "iv."),
        (2, 8, "ix."),
        (2, 48, "xlix."),
        (2, 1665, "mdclxvi."),
        (2, 443, "cdxliv."),
        (2, 1993, "mcmxciv."),
        (2, 3998, "mmmcmxcix."),
        (2, 3999, "4000."),
        (3, 1, "2."),
        (4, 1, "b."),
        (5, 1, "ii."),
    ],
)
def test_given_an_ordered_list_when_shown_then_each_level_counts_as_in_slack(
    indent: int, offset: int, mark: str
) -> None:
    assert listed("x", indent=indent, offset=offset) == f"{'    ' * indent}{mark} x"


@pytest.mark.parametrize(("indent", "mark"), [(0, "•"), (1, "◦"), (2, "▪︎"), (3, "▪︎")])
def test_given_a_bullet_list_when_shown_then_each_level_has_its_bullet(indent: int, mark: str) -> None:
    space = "    " * indent
    assert listed("x", "y", style="bullet", indent=indent) == f"{space}{mark} x\n{space}{mark} y"


def test_given_an_item_of_two_lines_when_shown_then_the_second_stands_below_the_first() -> None:
    assert listed("one\ntwo", "three", indent=1) == "    a. one\n       two\n    b. three"
    assert listed("one\ntwo", offset=9) == "10. one\n    two"
    assert listed("", "x") == "1. \n2. x"
    assert shown({"type": "rich_text_list", "elements": [{"type": "new"}]}) == "• "


def test_given_a_border_when_shown_then_the_list_or_code_is_part_of_the_quotation() -> None:
    code = {"type": "rich_text_preformatted", "elements": [words("a\n", bold=True)]}

    assert listed("x", "y", style="bullet", border=1) == "> • x\n> • y"
    assert listed("x", style="bullet", border=0) == "• x"
    assert shown(code) == "```\na\n```"
    assert shown({**code, "border": 1}) == "> ```\n> a\n> ```"
    assert shown({"type": "rich_text_quote", "elements": [words("a\nb")]}) == "> a\n> b"


def test_given_parts_when_shown_then_each_starts_on_a_line_and_empty_lines_stay() -> None:
    assert shown(section(words("a\n\n")), section(words("b")), section(), words("c")) == "a\n\nb\n\nc"


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (words("x", bold=True), "*x*"),
        (words("x", italic=True), "_x_"),
        (words("x", strike=True), "~x~"),
        (words("x", code=True), "`x`"),
        (words("x", bold=True, italic=True, strike=True, code=True), "*_~`x`~_*"),
        (words("  x y ", bold=True), "  *x y* "),
        (words("x", bold=False), "x"),
        (words("x\ny", bold=True), "x\ny"),
        (words("  ", bold=True), "  "),
        (words("a &lt; b"), "a < b"),
        ({"type": "link", "url": "https://a.example/?x&amp;y"}, "https://a.example/?x&y"),
        ({"type": "link", "url": "https://a.example", "text": "here", "style": {"bold": True}},
         "*here (https://a.example)*"),
        ({"type": "user", "user_id": "U1"}, "@user U1"),
        ({"type": "usergroup", "usergroup_id": "S1"}, "@group-S1"),
        ({"type": "channel", "channel_id": "C1"}, "#channel-C1"),
        ({"type": "team", "team_id": "T1"}, "@T1"),
        ({"type": "broadcast", "range": "everyone"}, "@everyone"),
        ({"type": "emoji", "name": "wave"}, ":wave:"),
        ({"type": "emoji", "name": "wave", "skin_tone": 2}, ":wave::skin-tone-2:"),
        ({"type": "date", "timestamp": 1392734382, "fallback": "that day"}, "that day"),
        ({"type": "date", "timestamp": 1392734382}, "2014-02-18 14:39:42 UTC"),
        ({"type": "color", "value": "#D00000"}, "#D00000"),
        ({"type": "new", "elements": [words("inner", bold=True)]}, "*inner*"),
        ({"type": "new", "label": "a label", "url": "https://a.example"}, "a label"),
        ({"type": "new", "text": {"type": "mrkdwn", "text": "to <@U1>"}, "label": "a label"}, "to @user U1"),
        ({"type": "new", "url": "https://a.example"}, "https://a.example"),
        ({"type": "new"}, ""),
    ],
)  # fmt: skip
def test_given_an_element_when_shown_then_it_reads_as_in_slack(element: dict[str, Any], text: str) -> None:
    assert shown(section(words("<"), element, words(">"))) == f"<{text}>"


@pytest.mark.parametrize("name", ["text", "fallback", "label", "title", "name", "value", "url"])
def test_given_an_unknown_element_when_shown_then_the_first_visible_value_is_there(name: str) -> None:
    assert shown(section({"type": "new", name: "https://a.example"})) == "https://a.example"


def test_given_text_inside_code_when_shown_then_it_has_no_marks() -> None:
    inner = [words("a", bold=True), {"type": "link", "url": "https://a.example", "style": {"italic": True}}]
    assert shown({"type": "rich_text_preformatted", "elements": inner}) == "```\nahttps://a.example\n```"


def test_given_rows_when_shown_then_the_first_is_the_header_and_each_cell_stays_on_its_line() -> None:
    rows = [["host", "port", "note"], [{"text": "a\nb"}, 8443, ""], "no row", [None, 1.5, "x"], [], ["y"]]

    text = table(rows, lambda cell, _: string(cell["text"]), Reading(Names()))

    assert text == "| host | port | note |\n| --- | --- | --- |\n| a b | 8443 |  |\n|  | 1.5 | x |\n| y |  |  |"


def test_given_a_row_longer_than_the_header_when_shown_then_each_row_has_as_many_cells() -> None:
    assert table([["a"], ["b", "c"]], lambda *_: "never", Reading(Names())) == "| a |  |\n| --- | --- |\n| b | c |"


@pytest.mark.parametrize("rows", [None, [], [[]], [["", ""]], "rows", {"a": 1}])
def test_given_no_cell_with_text_when_shown_then_there_is_no_table(rows: object) -> None:
    assert table(rows, lambda *_: "never", Reading(Names())) == ""


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (7, "7"), (1.5, "1.5"), (True, ""), (None, ""), ([], "")])
def test_given_a_value_of_any_type_when_read_then_only_texts_and_numbers_are_text(value: object, text: str) -> None:
    assert string(value) == text


def test_given_parts_that_are_nested_when_read_then_twelve_levels_are_read() -> None:
    reading = Reading(Names(), level=11)

    deepest = reading.deeper()

    assert deepest is not None
    assert reading.missing == []
    assert deepest.deeper() is None
    assert reading.missing == ["nested content"]


def test_given_a_message_of_rich_text_only_when_read_then_its_text_for_notifications_is_not_repeated() -> None:
    rich = {"type": "rich_text", "elements": [section(words("see"))]}
    empty = {"type": "rich_text", "elements": [section({"type": "new"})]}

    assert reader.read({"text": "see 7", "blocks": [rich]}, Names()).text == "see"
    assert reader.read({"text": "see 7", "blocks": [rich, empty]}, Names()).text == "see 7"
    assert reader.read({"text": "see 7", "blocks": [empty]}, Names()).text == "see 7"


def test_given_an_app_with_other_words_in_its_text_when_an_element_is_unknown_then_its_blocks_and_the_gap_stay() -> (
    None
):
    rich = {"type": "rich_text", "elements": [section(words("Server db-1 is down"), {"type": "hologram"})]}

    found = reader.read({"text": "New alert from PagerX", "blocks": [rich]}, Names())

    assert "Server db-1 is down" in found.text
    assert found.missing == ["hologram"]


def test_given_spaces_that_only_the_text_lacks_when_read_then_the_rich_text_is_still_taken_literally() -> None:
    rich = {"type": "rich_text", "elements": [section(words("typed &lt;"))]}

    assert reader.read({"text": "typed&amp;lt;", "blocks": [rich]}, Names()).text == "typed &lt;"
