"""File names in both directions, the file's metadata from Slack, and the download address that it contains.

A file arrives once, with its own content and under a name that AWS accepts. ir-router fetches nothing from a host that
is not Slack's, and sends no token there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_sandbox.security_ir.records import Principal
from tests.trials.proof.hostile.commands import EVIL_ADDRESSES
from tests.trials.proof.hostile.fixture import CaseFixture, acting, changes
from tests.trials.proof.hostile.strategies import texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.world import World

_TAKEN_BY_AWS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}")
_RENEWED_AFTER = 20


class Files(Trial):
    """Each input: the direction, the name, and further metadata from Slack."""

    expected_errors = frozenset({"sync.failed"})

    def __init__(self, world: World) -> None:
        """Create the users and their case, and replace the file metadata in Slack's responses."""
        self.fixture = CaseFixture(world)
        self.world = world
        self._tried = 0
        self._said: dict[str, Any] = {}
        render = world.workspace.files.render

        def changed(file: Any) -> Any:
            return {**render(file), **self._said}

        world.workspace.files.render = changed  # type: ignore[method-assign]
        # Slack's responses are UTF-8, so they contain no lone surrogates.
        whole = texts.map(lambda text: text.encode("utf-8", "replace").decode())
        claims = st.dictionaries(st.sampled_from(["mimetype", "title", "mode", "filetype", "user"]), whole, max_size=2)
        elsewhere = st.fixed_dictionaries({"url_private_download": st.sampled_from(EVIL_ADDRESSES) | whole})
        lies = st.fixed_dictionaries({"size": st.integers(-1, 2**40)})
        ways: list[SearchStrategy[Any]] = [st.tuples(st.just("to the case"), whole, claims)] * 6
        ways += [st.tuples(st.just("to Slack"), whole, st.just({}))] * 5
        # A file that cannot be copied is retried many times.
        ways += [st.tuples(st.just("elsewhere"), whole, elsewhere), st.tuples(st.just("lies"), whole, lies)]
        self.inputs: SearchStrategy[Any] = st.integers(0, len(ways) - 1).flatmap(lambda way: ways[way])

    def check(self, value: Any) -> Iterable[str]:
        """Share the file and check its effects."""
        kind, text, said = value
        self._tried += 1
        if self._tried % _RENEWED_AFTER == 0:
            self.fixture.renew()
        return self._to_slack(text) if kind == "to Slack" else self._to_case(kind, text, said)

    def _to_case(self, kind: str, name: str, said: Mapping[str, Any]) -> Iterable[str]:
        fixture = self.fixture
        before, said_before = fixture.state(), fixture.messages_shown()
        content = f"bytes of {self._tried}".encode()
        self._said = {"name": name, "title": name, **said}
        file_id, _ = fixture.jane.upload(fixture.channel, "name.bin", content)
        lost = fixture.rest()
        self._said = {}
        # ir-router reports a file that cannot be copied and leaves it as a dead letter, which an operator can replay.
        if kind == "to the case":
            yield from lost
        after = fixture.state()
        attachments = f"case {fixture.case_id} attachments"
        yield from changes(before, after, allowed=[*_attachments(before), f"case {fixture.case_id} comments"])
        added = [one for one in after[attachments][len(before[attachments]) :] if file_id in one]
        stored = self.world.security_ir.snapshot()["cases"][fixture.case_id]["attachments"].values()
        bytes_of = {one["file_name"]: one["path"].read_bytes() for one in stored}
        for one in added:
            if not _TAKEN_BY_AWS.fullmatch(one):
                yield f"the attachment is called {one!r}"
            if bytes_of[one] != content:
                yield "the attachment has different content"
        if len(added) > 1 or (kind == "to the case" and "mode" not in said and len(added) != 1):
            yield f"one file became {len(added)} attachments"
        if kind == "elsewhere" and added:
            yield "a file from another host was copied"
        for message in (one for place, one in fixture.messages_shown().items() if said_before.get(place) != one):
            yield from acting(message)

    def _to_slack(self, name: str) -> Iterable[str]:
        fixture = self.fixture
        before, said_before = fixture.state(), fixture.messages_shown()
        content = f"bytes of {self._tried}".encode()
        name = re.sub(r"[^a-zA-Z0-9._-]", "_", name)[:255]  # AWS accepts and returns no other
        self.world.security_ir.attachments.attach(
            fixture.case_id,
            Principal(f"AWS Responder {' '.join(name[:40].split())}"),
            name or "x",
            io.BytesIO(content),
            len(content),
            "x/y",
        )
        self.world.advance(2)  # AWS has verified it
        # AWS sends no event for an attachment; the poller finds it in its turn.
        self.world.hints.append({"source": "aws.security-ir", "detail": {"caseId": fixture.case_id}})
        yield from fixture.rest()
        yield from changes(before, fixture.state(), allowed=_attachments(before))
        new = [one for place, one in fixture.messages_shown().items() if said_before.get(place) != one]
        for message in new:
            yield from acting(message)
        shared = [self.world.workspace.store.files[file["id"]] for one in new for file in one.get("files", [])]
        if [file.path.read_bytes() for file in shared] != [content]:
            yield f"the attachment became {len(shared)} files"


def _attachments(state: Mapping[str, Any]) -> list[str]:
    """List the attachments of every case. A file that failed because of false metadata is copied at
    the next attempt.
    """
    return [name for name in state if name.endswith(" attachments")]
