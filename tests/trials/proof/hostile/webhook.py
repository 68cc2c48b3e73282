"""Requests to the webhook: forged, from another workspace, corrupted, or not requests at all.

A request that Slack did not sign gets a 401 and has no effect. A signed request for another workspace gets a 403 and
has no effect. Any other signed request has at most the effect of a user's message: comments on that channel's case.
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

from ir_router.errors import UnknownEventError
from ir_router.webhook import BODY_LIMIT
from tests.trials.proof.forgery import FORGERIES, SIGNATURE, TIMESTAMP
from tests.trials.proof.hostile.fixture import FORM_TYPE, JSON_TYPE, CaseFixture, as_json, changes, grown
from tests.trials.proof.hostile.strategies import any_json, corrupted, texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.world import World

_TYPES = st.sampled_from([JSON_TYPE, FORM_TYPE, "application/json; charset=utf-8", "text/plain", "", "multipart/x"])
_HEADERS = st.sampled_from([TIMESTAMP, SIGNATURE, "Content-Type", "x-slack-signature", "X-SLACK-REQUEST-TIMESTAMP"])


_WITHOUT_EFFECT = frozenset({"forged", "elsewhere", "body", "gateway"})


class Webhook(Trial):
    """Each input is a tuple of the kind and its arguments."""

    refusals = (UnknownEventError,)
    expected_errors = frozenset({"slack.other_workspace_refused: the request belongs to another installation"})

    def __init__(self, world: World) -> None:
        """Record Slack's requests for everything that a user can do in a channel."""
        self.fixture = CaseFixture(world)
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
                "requestContext": st.dictionaries(texts, any_json, max_size=2),
            }
        )
        number = st.integers(0, len(self.requests) - 1)
        team = any_json | st.sampled_from(["T0LC9999999", "E0LC9999999", world.workspace.team_id.lower()])
        self.inputs: SearchStrategy[Any] = st.one_of(
            st.tuples(st.just("forged"), st.sampled_from(sorted(FORGERIES)), number, texts),
            st.tuples(st.just("elsewhere"), number, team),
            st.tuples(st.just("corrupted"), corrupted(envelopes)),
            st.tuples(st.just("corrupted message"), corrupted([self.message])),
            st.tuples(st.just("body"), any_json.map(as_json) | st.binary(max_size=60) | texts.map(_encoded), _TYPES),
            st.tuples(st.just("gateway"), gateway),
            st.tuples(st.just("message"), texts),
        )

    def check(self, value: Any) -> Iterable[str]:
        """Send the input and check its effects."""
        kind, *arguments = value
        before = self.fixture.state()
        found = list(getattr(self, f"_{kind.split()[0]}")(before, *arguments))
        found += self.fixture.rest()
        after = self.fixture.state()
        if kind in _WITHOUT_EFFECT:
            return [*found, *changes(before, after)]
        comments, attachments = (f"case {self.fixture.case_id} {name}" for name in ("comments", "attachments"))
        found += changes(before, after, allowed=[comments, attachments])
        found += changes({"": _of_others(before[comments])}, {"": _of_others(after[comments])})
        return [*found, *grown(before, after, attachments)]

    def _recorded(self) -> list[tuple[dict[str, str], bytes]]:
        fixture, taken = self.fixture, []

        def take(headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
            taken.append((dict(headers), body))
            return 200, {}, b""

        self.world.app.deliver = take
        ts = fixture.jane.post(fixture.channel, "said")
        fixture.jane.post(fixture.channel, "answered", thread_ts=ts)
        fixture.jane.edit(fixture.channel, ts, "said better")
        fixture.jane.upload(fixture.channel, "notes.txt", b"notes", text="look")
        fixture.jane.delete(fixture.channel, ts)
        fixture.jane.post(fixture.elsewhere, "elsewhere")
        fixture.mallory.leave(fixture.channel)
        fixture.jane.invite(fixture.channel, fixture.mallory.id)
        fixture.jane.open_home()
        fixture.jane.command(fixture.channel, "/security-ir", "status")
        self.world.deliver()
        self.world.app.deliver = self.world.request
        return taken

    def _forged(self, _: Any, name: str, number: int, text: str) -> Iterable[str]:
        headers, body = self.requests[number]
        body = body.replace(b"said", _encoded(json.dumps(text)[1:-1]))
        now = self.fixture.headers(body, headers["Content-Type"])
        status = self.fixture.send(*FORGERIES[name](now, body, self.world.app.signing_secret))
        yield from self._refused(status, 401)

    def _elsewhere(self, _: Any, number: int, team: Any) -> Iterable[str]:
        headers, body = self.requests[number]
        kind = headers["Content-Type"]
        if kind == JSON_TYPE:
            envelope = json.loads(body)
            envelope |= {"team_id": team, "enterprise_id": team, "authorizations": [{"team_id": team}]}
            body = as_json({**envelope, "context_team_id": team})
            # A refused event is answered 200: Slack would repeat it.
            yield from self._refused(self.fixture.send(self.fixture.headers(body, kind), body), 200)
        else:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            form |= {"team_id": json.dumps(team), "enterprise_id": json.dumps(team)}
            body = urlencode(form, errors="surrogatepass").encode()
            # The user may be a colleague of another workspace: the function behind the webhook refuses the command.
            yield from self._answered(self.fixture.send(self.fixture.headers(body, kind), body))

    def _corrupted(self, _: Any, envelope: Any) -> Iterable[str]:
        envelope = copy.deepcopy(envelope)
        if isinstance(envelope, dict) and isinstance(envelope.get("event_id"), str):
            envelope["event_id"] += str(next(self._numbers))
        body = as_json(envelope)
        yield from self._answered(self.fixture.send(self.fixture.headers(body, JSON_TYPE), body))

    def _body(self, _: Any, body: bytes, kind: str) -> Iterable[str]:
        yield from self._answered(self.fixture.send(self.fixture.headers(body, kind), body))

    def _gateway(self, _: Any, event: Any) -> Iterable[str]:
        yield from self._refused(self.fixture.invoke_webhook(event), 401)

    def _message(self, before: Any, text: str) -> Iterable[str]:
        envelope = copy.deepcopy(self.message)
        self.world.advance(0.01)
        envelope["event_id"] = f"Ev{next(self._numbers):010}"
        envelope["event"] |= {"text": text, "ts": f"{self.world.now():.6f}"}
        body = as_json(envelope)
        for _ in range(2):  # Slack may send a message twice, after SQS has forgotten its id
            status = self.fixture.send(self.fixture.headers(body, JSON_TYPE), body)
            if status != (413 if len(body) > BODY_LIMIT else 200):
                yield f"answered {status}"
        yield from self.fixture.rest()
        added = self.fixture.comments_since(before)
        if not added or sum(", part " not in body.split("\n")[0] for body in added) > 1:
            yield f"became {len(added)} comments"

    def _refused(self, status: int, wanted: int) -> Iterable[str]:
        if status != wanted:
            yield f"answered {status}, not {wanted}"
        if self.fixture.handed_over():
            yield "handed over a rejected request"

    def _answered(self, status: int) -> Iterable[str]:
        if status not in (200, 400, 401, 403, 413):
            yield f"answered {status}"
        if status != 200 and self.fixture.handed_over():
            yield f"answered {status} and handed it over"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _of_others(comments: list[str]) -> list[str]:
    """Return the comments that are not a user's message (a tag in front, a reference at the end)."""
    return [body for body in comments if not (body.startswith("[Slack Update] ") and body.rstrip().endswith(")"))]
