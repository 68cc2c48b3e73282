"""Requests at the webhook: forged, of elsewhere, spoilt, or no requests at all.

What Slack did not sign is answered 401 and reaches nothing. What it signed for another workspace is answered 403 and
reaches nothing. Whatever else it signs does at most what a message of a person does: comments on that channel's case.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ir_local.proof.forgery import FORGERIES, SIGNATURE, TIMESTAMP
from ir_local.proof.hostile.house import FORM_TYPE, JSON_TYPE, House, as_json, changes, grown
from ir_local.proof.hostile.trial import Trial
from ir_local.proof.hostile.words import junk, spoilt, texts
from ir_local.world import World
from ir_router.errors import UnknownEventError
from ir_router.webhook import BODY_LIMIT

_TYPES = st.sampled_from([JSON_TYPE, FORM_TYPE, "application/json; charset=utf-8", "text/plain", "", "multipart/x"])
_HEADERS = st.sampled_from([TIMESTAMP, SIGNATURE, "Content-Type", "x-slack-signature", "X-SLACK-REQUEST-TIMESTAMP"])


_WITHOUT_EFFECT = frozenset({"forged", "elsewhere", "body", "gateway"})


class Webhook(Trial):
    """Each input is a tuple: what is tried, and with what."""

    refusals = (UnknownEventError,)

    def __init__(self, world: World) -> None:
        """Take down what Slack sends for all that people do in a channel."""
        self.house = House(world)
        self.world = world
        self._numbers = itertools.count(1)
        self.requests = self._recorded()
        envelopes = [json.loads(body) for headers, body in self.requests if headers["Content-Type"] == JSON_TYPE]
        self.message = next(one for one in envelopes if one["event"].get("text") == "said")
        times = st.integers(-400, 400).map(lambda seconds: str(int(world.now()) + seconds))
        gateway = st.fixed_dictionaries(
            {
                "httpMethod": st.sampled_from(["POST", "GET", "PUT", "post", ""]),
                "path": texts,
                "headers": st.none() | st.dictionaries(_HEADERS | texts, texts | times, max_size=5),
                "body": st.none() | texts | st.text("ABCabc123+/=", max_size=20),
                "isBase64Encoded": st.booleans(),
                "requestContext": st.dictionaries(texts, junk, max_size=2),
            }
        )
        number = st.integers(0, len(self.requests) - 1)
        team = junk | st.sampled_from(["T0LC9999999", "E0LC9999999", world.workspace.team_id.lower()])
        self.inputs: SearchStrategy[Any] = st.one_of(
            st.tuples(st.just("forged"), st.sampled_from(sorted(FORGERIES)), number, texts),
            st.tuples(st.just("elsewhere"), number, team),
            st.tuples(st.just("spoilt"), spoilt(envelopes)),
            st.tuples(st.just("spoilt message"), spoilt([self.message])),
            st.tuples(st.just("body"), junk.map(as_json) | st.binary(max_size=60) | texts.map(_encoded), _TYPES),
            st.tuples(st.just("gateway"), gateway),
            st.tuples(st.just("message"), texts),
        )

    def check(self, value: Any) -> Iterable[str]:
        """Try it."""
        kind, *arguments = value
        before = self.house.state()
        found = list(getattr(self, f"_{kind.split()[0]}")(before, *arguments))
        found += self.house.rest()
        after = self.house.state()
        if kind in _WITHOUT_EFFECT:
            return [*found, *changes(before, after)]
        comments, attachments = (f"case {self.house.case_id} {name}" for name in ("comments", "attachments"))
        found += changes(before, after, allowed=[comments, attachments])
        found += changes({"": _of_others(before[comments])}, {"": _of_others(after[comments])})
        return [*found, *grown(before, after, attachments)]

    def _recorded(self) -> list[tuple[dict[str, str], bytes]]:
        house, taken = self.house, []

        def take(headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
            taken.append((dict(headers), body))
            return 200, {}, b""

        self.world.app.deliver = take
        ts = house.jane.post(house.channel, "said")
        house.jane.post(house.channel, "answered", thread_ts=ts)
        house.jane.edit(house.channel, ts, "said better")
        house.jane.upload(house.channel, "notes.txt", b"notes", text="look")
        house.jane.delete(house.channel, ts)
        house.jane.post(house.elsewhere, "elsewhere")
        house.mallory.leave(house.channel)
        house.jane.invite(house.channel, house.mallory.id)
        house.jane.command(house.channel, "/security-ir", "status")
        self.world.deliver()
        self.world.app.deliver = self.world.request
        return taken

    def _forged(self, _: Any, name: str, number: int, text: str) -> Iterable[str]:
        headers, body = self.requests[number]
        body = body.replace(b"said", _encoded(json.dumps(text)[1:-1]))
        now = self.house.headers(body, headers["Content-Type"])
        status = self.house.send(*FORGERIES[name](now, body, self.world.app.signing_secret))
        yield from self._refused(status, 401)

    def _elsewhere(self, _: Any, number: int, team: Any) -> Iterable[str]:
        headers, body = self.requests[number]
        kind = headers["Content-Type"]
        if kind == JSON_TYPE:
            envelope = json.loads(body)
            envelope |= {"team_id": team, "enterprise_id": team, "authorizations": [{"team_id": team}]}
            body = as_json(envelope)
        else:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            form |= {"team_id": json.dumps(team), "enterprise_id": json.dumps(team)}
            body = urlencode(form, errors="surrogatepass").encode()
        yield from self._refused(self.house.send(self.house.headers(body, kind), body), 403)

    def _spoilt(self, _: Any, envelope: Any) -> Iterable[str]:
        envelope = copy.deepcopy(envelope)
        if isinstance(envelope, dict) and isinstance(envelope.get("event_id"), str):
            envelope["event_id"] += str(next(self._numbers))
        body = as_json(envelope)
        yield from self._answered(self.house.send(self.house.headers(body, JSON_TYPE), body))

    def _body(self, _: Any, body: bytes, kind: str) -> Iterable[str]:
        yield from self._answered(self.house.send(self.house.headers(body, kind), body))

    def _gateway(self, _: Any, event: Any) -> Iterable[str]:
        yield from self._refused(self.house.invoke_door(event), 401)

    def _message(self, before: Any, text: str) -> Iterable[str]:
        envelope = copy.deepcopy(self.message)
        self.world.advance(0.01)
        envelope["event_id"] = f"Ev{next(self._numbers):010}"
        envelope["event"] |= {"text": text, "ts": f"{self.world.now():.6f}"}
        body = as_json(envelope)
        for _ in range(2):  # Slack may send it twice, and SQS may forget that
            status = self.house.send(self.house.headers(body, JSON_TYPE), body)
            if status != (413 if len(body) > BODY_LIMIT else 200):
                yield f"answered {status}"
        yield from self.house.rest()
        added = self.house.comments_since(before)
        if not added or sum(", part " not in body.split("\n")[0] for body in added) > 1:
            yield f"became {len(added)} comments"

    def _refused(self, status: int, wanted: int) -> Iterable[str]:
        if status != wanted:
            yield f"answered {status}, not {wanted}"
        if self.house.handed_over():
            yield "handed over what was refused"

    def _answered(self, status: int) -> Iterable[str]:
        if status not in (200, 400, 401, 403, 413):
            yield f"answered {status}"
        if status != 200 and self.house.handed_over():
            yield f"answered {status} and handed it over"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _of_others(comments: list[str]) -> list[str]:
    """Those that no message of a person becomes: with the tag in front and the reference at the end."""
    return [body for body in comments if not (body.startswith("[Slack Update] ") and body.rstrip().endswith(")"))]
