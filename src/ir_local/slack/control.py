"""The control door: what tests in the same process do by Python, over HTTP under `/_local/`.

Bodies and answers are JSON with the names of the Python API. `GET /_local/` lists the doors. A person acts by
`POST /_local/people/<id, name or address>/<action>`, the body being the arguments of that method of `Person`;
`upload` also takes raw bytes, with `channel`, `name` and perhaps `text`, `thread_ts` in the query string.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from http import HTTPStatus
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError, validate_call
from werkzeug.wrappers import Request, Response

from ir_local.slack.clock import AdjustableClock
from ir_local.slack.delivery import Attempt, Deliveries
from ir_local.slack.errors import SlackError
from ir_local.slack.faults import Fault
from ir_local.slack.files import chunks_of
from ir_local.slack.model import App, Json
from ir_local.slack.people import Person
from ir_local.slack.snapshot import snapshot
from ir_local.slack.workspace import SlackWorkspace

PATH = "/_local/"
ACTIONS = frozenset(
    {
        "archive_channel",
        "close_view",
        "command",
        "create_channel",
        "delete",
        "delete_file",
        "edit",
        "invite",
        "join",
        "kick",
        "leave",
        "post",
        "press",
        "press_in_view",
        "react",
        "rename_channel",
        "set_topic",
        "share_again",
        "submit",
        "unarchive_channel",
        "upload",
        "views",
    }
)

Door = Callable[[Json], object]
Result = TypeVar("Result")


class ControlDoor:
    """Answers requests under `/_local/`."""

    def __init__(self, workspace: SlackWorkspace) -> None:
        """Open the doors of that workspace."""
        self._workspace = workspace
        deliveries = workspace.deliveries
        self._doors: dict[tuple[str, str], Door] = {
            ("GET", ""): lambda _: [f"{method} {PATH}{path}" for method, path in self._doors],
            ("GET", "ready"): lambda _: {"ready": True},
            ("GET", "state"): lambda _: snapshot(workspace),
            ("GET", "calls"): lambda _: [asdict(record) for record in workspace.calls],
            ("DELETE", "calls"): lambda _: len(workspace.reset_calls()),
            ("GET", "faults"): lambda _: [fault.to_json() for fault in workspace.faults.all()],
            ("POST", "faults"): lambda body: workspace.faults.add(TypeAdapter(Fault).validate_python(body)).to_json(),
            ("DELETE", "faults"): lambda _: workspace.faults.clear(),
            ("GET", "deliveries"): lambda _: [delivery.to_json() for delivery in list(deliveries.log)],
            ("POST", "deliveries/wait"): lambda body: {"idle": call(deliveries.wait_until_idle, body)},
            ("POST", "deliveries/disturb"): lambda body: disturb(deliveries, body),
            ("POST", "users"): lambda body: call(workspace.create_user, body).id,
            ("POST", "strangers"): lambda body: call(workspace.create_stranger, body).id,
            ("POST", "user-groups"): lambda body: call(workspace.create_user_group, body).id,
            ("POST", "channels"): self._create_channel,
            ("POST", "apps"): lambda body: app_json(call(workspace.create_app, body)),
            ("POST", "tokens/revoke"): lambda body: call(workspace.revoke_token, body),
            ("PUT", "settings"): lambda body: call(workspace.configure, body),
            ("POST", "clock/advance"): self._advance,
        }

    def answer(self, request: Request) -> Response:
        """Answer one request: 200 with JSON, 404 for an unknown door, 400 for what does not fit or is refused."""
        path = request.path.removeprefix(PATH)
        try:
            if path.startswith("people/"):
                return _json(self._act(request, *path.split("/")[1:]))
            if path.startswith("apps/"):
                return _json(self._change_app(request, *path.split("/")[1:]))
            door = self._doors.get((request.method, path))
            if door is None:
                return _json({"error": f"no such door; GET {PATH} lists them"}, HTTPStatus.NOT_FOUND)
            return _json(door(_body(request)))
        except SlackError as error:
            return _json(error.to_json(), HTTPStatus.BAD_REQUEST)
        except (ValidationError, ValueError, TypeError) as error:
            return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)

    def _act(self, request: Request, user: str, action: str = "") -> object:
        if action not in ACTIONS:
            raise ValueError(f"no such action; there are {', '.join(sorted(ACTIONS))}")
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
        raise ValueError("apps/<id>: PUT; apps/<id>/verify and apps/<id>/token: POST")

    def _app(self, app_id: str) -> App:
        app = self._workspace.store.apps.get(app_id)
        if app is None:
            raise ValueError("no such app")
        return app

    def _create_channel(self, body: Json) -> str:
        members: list[Person] = [self._workspace.person(user) for user in body["members"]]
        return self._workspace.create_channel(body["name"], members, is_private=bool(body.get("is_private"))).id

    def _advance(self, body: Json) -> None:
        clock = self._workspace.store.clock
        if not isinstance(clock, AdjustableClock):
            raise ValueError("the clock of this workspace cannot be moved")  # noqa: TRY004 - not the caller's argument
        clock.advance(float(body["seconds"]))
        self._workspace.deliveries.wake()


def app_json(app: App) -> Json:
    """An app with its token and secrets, for whoever made or changed it."""
    return {name: value for name, value in vars(app).items() if name != "deliver"}


def disturb(deliveries: Deliveries, body: Json) -> None:
    """`deliveries/disturb`: `how`, `times`, `seconds`, and `event_type` to choose the events."""
    event_type = body.pop("event_type", None)
    call(deliveries.disturb, {**body, "matches": lambda envelope: event_type in {None, envelope["event"]["type"]}})


def call(function: Callable[..., Result], body: Json) -> Result:
    """Call with the body's members as keyword arguments, checked against the function's types."""
    return validate_call(config={"arbitrary_types_allowed": True})(function)(**body)


def _body(request: Request) -> Json:
    value = json.loads(request.get_data() or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body is not an object")  # noqa: TRY004 - the sender's mistake
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
    raise TypeError(f"{type(value)} is not JSON")
