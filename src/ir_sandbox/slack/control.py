"""The control API under `/_local/`: the Python API that tests use in-process, over HTTP.

Request and response bodies are JSON with the names of the Python API. `GET /_local/` lists the endpoints.
`POST /_local/people/<id, name or address>/<action>` acts as a user; its body holds the arguments of the method of
`Person`. `upload` also accepts raw bytes, with `channel` and `name` (optionally `text`, `thread_ts`) in the query.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from http import HTTPStatus
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError, validate_call
from werkzeug.wrappers import Request, Response

from ir_sandbox.slack.clock import AdjustableClock
from ir_sandbox.slack.delivery import Attempt, Deliveries
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.files import chunks_of
from ir_sandbox.slack.model import App, Json
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.snapshot import snapshot
from ir_sandbox.slack.workspace import SlackWorkspace

PATH = "/_local/"
ACTIONS = frozenset(
    {
        "add_bookmark",
        "archive_channel",
        "close_view",
        "command",
        "create_channel",
        "delete",
        "delete_file",
        "edit",
        "edit_bookmark",
        "forward",
        "invite",
        "join",
        "kick",
        "leave",
        "open_home",
        "post",
        "press",
        "press_in_view",
        "react",
        "remove_bookmark",
        "rename_channel",
        "set_topic",
        "share_again",
        "share_document",
        "submit",
        "unarchive_channel",
        "upload",
        "views",
    }
)

Operation = Callable[[Json], object]
Result = TypeVar("Result")


class ControlEndpoint:
    """Handles the requests under `/_local/`."""

    def __init__(self, workspace: SlackWorkspace) -> None:
        """Control `workspace`."""
        self._workspace = workspace
        deliveries = workspace.deliveries
        self._operations: dict[tuple[str, str], Operation] = {
            ("GET", ""): lambda _: [f"{method} {PATH}{path}" for method, path in self._operations],
            ("GET", "ready"): lambda _: {"ready": True},
            ("GET", "state"): lambda _: snapshot(workspace),
            ("GET", "calls"): lambda _: [asdict(record) for record in workspace.calls],
            ("DELETE", "calls"): lambda _: len(workspace.reset_calls()),
            ("GET", "faults"): lambda _: [fault.to_json() for fault in workspace.faults.all()],
            ("POST", "faults"): lambda body: workspace.faults.add(TypeAdapter(Fault).validate_python(body)).to_json(),
            ("DELETE", "faults"): lambda _: workspace.faults.clear(),
            ("GET", "quirks"): lambda _: workspace.store.quirks.listed(),
            ("POST", "quirks"): lambda body: call(workspace.store.quirks.turn_on, body),
            ("DELETE", "quirks"): lambda _: workspace.store.quirks.turn_all_off(),
            ("GET", "deliveries"): lambda _: [delivery.to_json() for delivery in list(deliveries.log)],
            ("POST", "deliveries/wait"): lambda body: {"idle": call(deliveries.wait_until_idle, body)},
            ("POST", "deliveries/disturb"): lambda body: disturb(deliveries, body),
            ("POST", "users"): lambda body: call(workspace.create_user, body).id,
            ("POST", "colleagues"): lambda body: call(workspace.create_colleague, body).id,
            ("POST", "strangers"): lambda body: call(workspace.create_stranger, body).id,
            ("POST", "user-groups"): lambda body: call(workspace.create_user_group, body).id,
            ("POST", "channels"): self._create_channel,
            ("POST", "channels/change-id"): lambda body: self._change_channel("change_id", body),
            ("POST", "channels/delete"): lambda body: self._change_channel("delete", body),
            ("POST", "apps"): lambda body: app_json(call(workspace.create_app, body)),
            ("POST", "tokens/revoke"): lambda body: call(workspace.revoke_token, body),
            ("PUT", "settings"): lambda body: call(workspace.configure, body),
            ("POST", "clock/advance"): self._advance,
        }

    def answer(self, request: Request) -> Response:
        """Handle one request: 200 with JSON, 404 for an unknown endpoint, 400 for an invalid or refused request."""
        path = request.path.removeprefix(PATH)
        try:
            if path.startswith("people/"):
                return _json(self._act(request, *path.split("/")[1:]))
            if path.startswith("apps/"):
                return _json(self._change_app(request, *path.split("/")[1:]))
            operation = self._operations.get((request.method, path))
            if operation is None:
                return _json({"error": f"unknown endpoint; GET {PATH} lists all"}, HTTPStatus.NOT_FOUND)
            return _json(operation(_body(request)))
        except SlackError as error:
            return _json(error.to_json(), HTTPStatus.BAD_REQUEST)
        except (ValidationError, ValueError, TypeError) as error:
            return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)

    def _act(self, request: Request, user: str, action: str = "") -> object:
        if action not in ACTIONS:
            raise ValueError(f"unknown action; use one of {', '.join(sorted(ACTIONS))}")
        person = self._workspace.person(user)
        if action == "upload" and request.mimetype != "application/json":
            file_id, ts = person.upload(content=chunks_of(request.stream.read), **request.args.to_dict())
            return {"file_id": file_id, "ts": ts}
        if action == "invite":
            body = _body(request)
            person.invite(body["channel"], *body["users"])
            return None
        return call(getattr(person, action), _body(request))

    def _change_app(self, request: Request, app_id: str, what: str = "") -> object:
        app = self._app(app_id)
        match request.method, what:
            case "PUT", "":
                for name, value in (
                    TypeAdapter(dict[str, str | set[str] | None]).validate_python(_body(request)).items()
                ):
                    if name not in {"request_url", "signing_secret", "scopes", "events", "commands"}:
                        raise ValueError(f"{name} cannot be changed")
                    setattr(app, name, value)
                return app_json(app)
            case "POST", "verify":
                return {"verified": self._workspace.verify_request_url(app)}
            case "POST", "token":
                return {"token": self._workspace.issue_token(app, _body(request).get("token"))}
        raise ValueError("unknown endpoint; use PUT apps/<id>, POST apps/<id>/verify or POST apps/<id>/token")

    def _app(self, app_id: str) -> App:
        app = self._workspace.store.apps.get(app_id)
        if app is None:
            raise ValueError("unknown app id")
        return app

    def _create_channel(self, body: Json) -> str:
        members: list[Person] = [self._workspace.person(user) for user in body["members"]]
        return self._workspace.create_channel(body["name"], members, is_private=bool(body.get("is_private"))).id

    def _change_channel(self, how: str, body: Json) -> str:
        channel = self._workspace.channel(body["channel"])
        with self._workspace.store.lock:
            getattr(self._workspace.channels, how)(channel)
        return channel.id

    def _advance(self, body: Json) -> None:
        clock = self._workspace.store.clock
        if not isinstance(clock, AdjustableClock):
            raise ValueError("this workspace has no adjustable clock")  # noqa: TRY004 - not the caller's argument
        clock.advance(float(body["seconds"]))
        self._workspace.deliveries.wake()


def app_json(app: App) -> Json:
    """Return an app as JSON, with its token and secrets."""
    return {name: value for name, value in vars(app).items() if name != "deliver"}


def disturb(deliveries: Deliveries, body: Json) -> None:
    """Handle `deliveries/disturb`: `how`, `times`, `seconds`, and `event_type` to select the events."""
    event_type = body.pop("event_type", None)
    call(deliveries.disturb, {**body, "matches": lambda envelope: event_type in {None, envelope["event"]["type"]}})


def call(function: Callable[..., Result], body: Json) -> Result:
    """Call a function with the body's members as keyword arguments, checked against the function's types."""
    return validate_call(config={"arbitrary_types_allowed": True})(function)(**body)


def _body(request: Request) -> Json:
    value = json.loads(request.get_data() or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - the sender's mistake
    return value


def _json(value: object, status: int = HTTPStatus.OK) -> Response:
    return Response(json.dumps(value, default=_plain), status, content_type="application/json")


def _plain(value: object) -> object:
    match value:
        case Attempt():
            return {"status": value.status, "reason": value.reason, "answer": value.answer.decode("utf-8", "replace")}
        case set() | frozenset():
            return sorted(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    raise TypeError(f"{type(value)} cannot be written as JSON")
