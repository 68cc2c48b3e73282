"""The language of the project: the number of replaced words may fall, but never rise, and the goals hold."""

from __future__ import annotations

import io
import json
import tokenize
from pathlib import Path

import pytest

from tests.support import language

CEILINGS = json.loads((Path(__file__).parents[1] / "language_ceilings.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", language.KINDS)
def test_given_the_texts_when_replaced_words_are_counted_then_none_has_been_added(kind: str) -> None:
    counted = language.counts()[kind]
    risen = {
        group: f"{count}, allowed {CEILINGS[kind][group]}"
        for group, count in counted.items()
        if count > CEILINGS[kind][group]
    }
    places = [
        f"{hit.passage.file}:{hit.line}: {hit.context}"
        for hit in language.hits()
        if hit.passage.kind == kind and hit.group in risen
    ]
    assert risen == {}, "Use the glossary of docs/contributing (see tests/support/language.py):\n" + "\n".join(
        places[:40]
    )


@pytest.mark.parametrize("group", language.GOALS)
@pytest.mark.parametrize("kind", ["docs", "docstrings"])
def test_given_the_goals_when_hits_per_thousand_words_are_counted_then_they_hold(kind: str, group: str) -> None:
    rate = 1000 * language.counts()[kind][group] / language.words()[kind]

    assert rate <= language.GOALS[group], (
        f"{group} in {kind}; `python -m tests.support.language {group} {kind}` lists it"
    )


def test_given_python_code_when_its_comments_are_read_then_strings_have_none() -> None:
    source = "\n".join(
        [
            '"""# no',
            '# no \\" \' \\""" no # no"""  # one',
            "value = '# no' + \"it's # no\"  # two",
            "#three",
            "other = '''a",
            "# no '' ''' + r'\\#'  # four \"",
            'last = f"{\'# no\'} \\" # no"',
        ]
    )
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)

    expected = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    assert list(language.comments(source)) == expected
    assert [line for line, _ in expected] == [2, 3, 4, 6]
