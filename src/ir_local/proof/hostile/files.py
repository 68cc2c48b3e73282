"""Names of files both ways, what Slack says about a file, and the address that it names for the bytes.

A file arrives once, with its own bytes and under a name that AWS takes. Nothing is fetched from a host that is not
Slack's, and no token is sent there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_local.proof.hostile.commands import EVIL_ADDRESSES
from ir_local.proof.hostile.house import House, acting, changes
from ir_local.proof.hostile.trial import Trial
from ir_local.proof.hostile.words import texts
from ir_local.security_ir.records import Principal
from ir_local.world import World

_TAKEN_BY_AWS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}")
_RENEWED_AFTER = 20


class Files(Trial):
    """Each input: which way, the name, and what else Slack says about the file."""

    told = frozenset({"a failure stays"})

    def __init__(self, world: World) -> None:
        """The people and their case; what Slack says of files can be changed from now on."""
        self.house = House(world)
        self.world = world
        self._tried = 0
        self._said: dict[str, Any] = {}
        render = world.workspace.files.render

        def changed(file: Any) -> Any:
            return {**render(file), **self._said}

        world.workspace.files.render = changed  # type: ignore[method-assign]
        # Slack's answers are UTF-8: no halves of characters.
        whole = texts.map(lambda text: text.encode("utf-8", "replace").decode())
        claims = st.dictionaries(st.sampled_from(["mimetype", "title", "mode", "filetype", "user"]), whole, max_size=2)
        elsewhere = st.fixed_dictionaries({"url_private_download": st.sampled_from(EVIL_ADDRESSES) | whole})
        lies = st.fixed_dictionaries({"size": st.integers(-1, 2**40)})
        ways: list[SearchStrategy[Any]] = [st.tuples(st.just("to the case"), whole, claims)] * 6
        ways += [st.tuples(st.just("to Slack"), whole, st.just({}))] * 5
        # What cannot be copied is tried many times.
        ways += [st.tuples(st.just("elsewhere"), whole, elsewhere), st.tuples(st.just("lies"), whole, lies)]
        self.inputs: SearchStrategy[Any] = st.integers(0, len(ways) - 1).flatmap(lambda way: ways[way])

    def check(self, value: Any) -> Iterable[str]:
        """Share it."""
        kind, text, said = value
        self._tried += 1
        if self._tried % _RENEWED_AFTER == 0:
            self.house.renew()
        return self._to_slack(text) if kind == "to Slack" else self._to_case(kind, text, said)

    def _to_case(self, kind: str, name: str, said: Mapping[str, Any]) -> Iterable[str]:
        house = self.house
        before, said_before = house.state(), house.said()
        content = f"bytes of {self._tried}".encode()
        self._said = {"name": name, "title": name, **said}
        file_id, _ = house.jane.upload(house.channel, "name.bin", content)
        lost = house.rest()
        self._said = {}
        # What cannot be copied is told, and is a dead letter in the end: an operator can replay it.
        if kind == "to the case":
            yield from lost
        after = house.state()
        attachments = f"case {house.case_id} attachments"
        yield from changes(before, after, allowed=[*_attachments(before), f"case {house.case_id} comments"])
        added = [one for one in after[attachments][len(before[attachments]) :] if file_id in one]
        stored = self.world.security_ir.snapshot()["cases"][house.case_id]["attachments"].values()
        bytes_of = {one["file_name"]: one["path"].read_bytes() for one in stored}
        for one in added:
            if not _TAKEN_BY_AWS.fullmatch(one):
                yield f"the attachment is called {one!r}"
            if bytes_of[one] != content:
                yield "the attachment has other bytes"
        if len(added) > 1 or (kind == "to the case" and "mode" not in said and len(added) != 1):
            yield f"one file became {len(added)} attachments"
        if kind == "elsewhere" and added:
            yield "a file of another host was copied"
        for message in (one for place, one in house.said().items() if said_before.get(place) != one):
            yield from acting(message)

    def _to_slack(self, name: str) -> Iterable[str]:
        house = self.house
        before, said_before = house.state(), house.said()
        content = f"bytes of {self._tried}".encode()
        name = re.sub(r"[^a-zA-Z0-9._-]", "_", name)[:255]  # AWS takes and gives no other
        self.world.security_ir.attachments.attach(
            house.case_id,
            Principal(f"AWS Responder {' '.join(name[:40].split())}"),
            name or "x",
            io.BytesIO(content),
            len(content),
            "x/y",
        )
        self.world.advance(2)  # AWS has verified it
        # No event of AWS tells of an attachment; the poller looks for one in its turn.
        self.world.hints.append({"source": "aws.security-ir", "detail": {"caseId": house.case_id}})
        yield from house.rest()
        yield from changes(before, house.state(), allowed=_attachments(before))
        new = [one for place, one in house.said().items() if said_before.get(place) != one]
        for message in new:
            yield from acting(message)
        shared = [self.world.workspace.store.files[file["id"]] for one in new for file in one.get("files", [])]
        if [file.path.read_bytes() for file in shared] != [content]:
            yield f"the attachment became {len(shared)} files"


def _attachments(state: Mapping[str, Any]) -> list[str]:
    """The attachments of every case: what Slack lied about before is copied when it is asked for again."""
    return [name for name in state if name.endswith(" attachments")]
