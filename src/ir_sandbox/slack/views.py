"""Views: modals that apps open and users submit, and the Home tabs that apps publish."""

from __future__ import annotations

import copy
import json
from typing import Literal

from ir_sandbox.slack.blocks import check_blocks
from ir_sandbox.slack.delivery import Attempt
from ir_sandbox.slack.errors import SlackError, invalid_arguments
from ir_sandbox.slack.events import EventBus
from ir_sandbox.slack.interactions import Interactions, json_object
from ir_sandbox.slack.model import App, Json, User, View
from ir_sandbox.slack.quirks.errors import FORM_CLOSED_AT_ONCE
from ir_sandbox.slack.store import Store, random_word

ViewSurface = Literal["modal", "home"]

MOST_VIEWS = 3
LARGEST_VIEW = 250_000
TITLE_LENGTH = 24


class Views:
    """The open modals, at most three in a stack, and the Home tabs."""

    def __init__(self, store: Store, interactions: Interactions, bus: EventBus) -> None:
        """Keep views in `store`; `interactions` provides triggers and sends submissions, `bus` sends events."""
        self._store = store
        self._bus = bus
        self._interactions = interactions

    def open(self, app: App, trigger_id: str, view: object) -> View:
        """Open a modal for the trigger's user; raises SlackError for an invalid trigger or view."""
        body = self._checked(view)
        trigger = self._interactions.use_trigger(app, trigger_id)
        return self._show(app, trigger.user_id, body, below=[])

    def push(self, app: App, trigger_id: str, view: object) -> View:
        """Open a modal above the trigger's modal; raises SlackError `push_limit_reached`, `not_found`."""
        body = self._checked(view)
        trigger = self._interactions.use_trigger(app, trigger_id)
        top = self._store.views.get(trigger.view_id or "")
        if top is None or not top.open:
            raise SlackError("not_found")
        return self._push(app, top, body)

    def update(self, app: App, view_id: str | None, external_id: str | None, hash_: str | None, view: object) -> View:
        """Replace a modal's content.

        Args:
            app: The app that owns the modal.
            view_id: The modal's id, or None to use `external_id`.
            external_id: The id that the app gave the modal.
            hash_: The hash of the content that the app last saw; None skips the check.
            view: The new view, as an object or as JSON.

        Raises:
            SlackError: `not_found`, `hash_conflict`, or an error of the view.
        """
        found = self.find(view_id, external_id)
        if self._store.quirks.is_on(FORM_CLOSED_AT_ONCE):
            found.open = False
            raise SlackError("not_found")
        if found.app_id != app.app_id:
            raise SlackError("not_found")
        if hash_ is not None and hash_ != found.body["hash"]:
            raise SlackError("hash_conflict")
        self._replace(found, self._checked(view, replaces=found))
        return found

    def publish(self, app: App, user_id: str, hash_: str | None, view: object) -> View:
        """Replace the Home tab of an app for a user (https://docs.slack.dev/reference/methods/views.publish).

        Raises:
            SlackError: `not_enabled`, `invalid_arguments`, `hash_conflict`, or an error of the view.
        """
        if not app.has_home_tab:
            raise SlackError("not_enabled")
        user = self._store.users.get(user_id)
        if user is None:
            raise invalid_arguments("invalid `user_id`")
        body = self._checked(view, surface="home")
        shown = self._store.homes.get((app.app_id, user_id))
        if shown is None:
            shown = self._made(app, user_id, body, below=[])
            self._store.homes[app.app_id, user_id] = shown
        elif hash_ is not None and hash_ != shown.body["hash"]:
            raise SlackError("hash_conflict")
        else:
            self._replace(shown, body)
        return shown

    def open_home(self, app: App, user_id: str, tab: str) -> None:
        """Send the event that a user opened a tab of the app (docs.slack.dev/reference/events/app_home_opened)."""
        shown = self._store.homes.get((app.app_id, user_id))
        view = {"view": copy.deepcopy(shown.body)} if shown is not None and tab == "home" else {}
        direct = f"D{app.bot_user_id[1:]}{user_id[1:]}"
        event: Json = {"type": "app_home_opened", "user": user_id, "channel": direct, "tab": tab, **view}
        self._bus.publish("app_home_opened", event, only_app=app)

    def find(self, view_id: str | None, external_id: str | None = None) -> View:
        """Return an open view by its id or external id; raises SlackError `not_found`."""
        for view in self._store.views.values():
            if view.open and (view.id == view_id or (external_id and view.body["external_id"] == external_id)):
                return view
        raise SlackError("not_found")

    def submit(self, user: User, view_id: str, values: Json) -> tuple[Attempt, Json | None]:
        """Submit a modal and apply the app's response.

        The app responds with `{"response_action": "errors", "errors": {block_id: text}}` or another response action. An
        empty response closes the modal. After a failed response the modal stays open, as in Slack.

        Args:
            user: The user who submits.
            view_id: The modal.
            values: The state of the fields, `{block_id: {action_id: state}}`.

        Returns:
            The request to the app and the JSON object of its response.
        """
        with self._store.lock:
            view = self._opened_by(user, view_id)
            app = self._store.apps[view.app_id]
            view.body["state"] = {"values": values}
            trigger = self._interactions.new_trigger(app, user.id, view_id=view.id)
            payload = {
                **self._interactions.payload_head("view_submission", app, user),
                "trigger_id": trigger.id,
                "view": copy.deepcopy(view.body),
                "response_urls": [],
            }
        attempt = self._interactions.send_payload(app, payload)
        answer = json_object(attempt.answer)
        if attempt.reason is None:
            with self._store.lock:
                self._apply_response(app, view, answer)
        return attempt, answer

    def close(self, user: User, view_id: str, *, clear: bool = False) -> Attempt | None:
        """Close a modal, or with `clear` its complete stack; return the request to the app.

        Slack notifies the app only if the view has `notify_on_close`.
        """
        with self._store.lock:
            view = self._opened_by(user, view_id)
            app = self._store.apps[view.app_id]
            for closing in self._stack(view) if clear else [view]:
                closing.open = False
            payload = {
                **self._interactions.payload_head("view_closed", app, user),
                "view": copy.deepcopy(view.body),
                "is_cleared": clear,
            }
        return self._interactions.send_payload(app, payload) if view.body["notify_on_close"] else None

    def opened_by(self, user_id: str) -> list[View]:
        """Return a user's open views, the topmost last."""
        return [view for view in self._store.views.values() if view.open and view.user_id == user_id]

    def _opened_by(self, user: User, view_id: str) -> View:
        view = self.find(view_id)
        if view.user_id != user.id:
            raise SlackError("not_found")
        return view

    def _apply_response(self, app: App, view: View, answer: Json | None) -> None:
        action = (answer or {}).get("response_action")
        match action:
            case None:
                view.open = False
            case "errors":
                view.body["errors"] = (answer or {})["errors"]
            case "clear":
                for closing in self._stack(view):
                    closing.open = False
            case "update":
                self._replace(view, self._checked((answer or {})["view"], replaces=view))
            case "push":
                self._push(app, view, self._checked((answer or {})["view"]))
            case _:
                raise invalid_arguments(f"unknown response_action: {action}")

    def _push(self, app: App, top: View, body: Json) -> View:
        stack = [view.id for view in self._stack(top)]
        if len(stack) >= MOST_VIEWS:
            raise SlackError("push_limit_reached")
        return self._show(app, top.user_id, body, below=stack)

    def _show(self, app: App, user_id: str, body: Json, *, below: list[str]) -> View:
        view = self._made(app, user_id, body, below=below)
        self._store.views[view.id] = view
        return view

    def _made(self, app: App, user_id: str, body: Json, *, below: list[str]) -> View:
        store = self._store
        view_id = store.next_id("V")
        full = {
            "id": view_id,
            "team_id": store.team_id,
            "type": body["type"],
            "close": None,
            "submit": None,
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "clear_on_close": False,
            "notify_on_close": False,
            **body,
            "state": {"values": {}},
            "hash": self._new_hash(),
            "root_view_id": below[0] if below else view_id,
            "previous_view_id": below[-1] if below else None,
            "app_id": app.app_id,
            "app_installed_team_id": store.team_id,
            "bot_id": app.bot_id,
        }
        return View(view_id, app.app_id, user_id, full)

    def _replace(self, view: View, body: Json) -> None:
        kept = {
            "id",
            "team_id",
            "state",
            "root_view_id",
            "previous_view_id",
            "app_id",
            "app_installed_team_id",
            "bot_id",
        }
        defaults = {"close": None, "submit": None, "private_metadata": "", "callback_id": "", "external_id": ""}
        flags = {"clear_on_close": False, "notify_on_close": False}
        own = {name: value for name, value in view.body.items() if name in kept}
        view.body = {**defaults, **flags, **body, **own, "hash": self._new_hash()}

    def _stack(self, view: View) -> list[View]:
        root = view.body["root_view_id"]
        return [other for other in self._store.views.values() if other.open and other.body["root_view_id"] == root]

    def _new_hash(self) -> str:
        return f"{self._store.now():.0f}.{random_word(8)}"

    def _checked(self, value: object, *, replaces: View | None = None, surface: ViewSurface = "modal") -> Json:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise invalid_arguments("invalid JSON [json-pointer:/view]") from None
        if not isinstance(value, dict):
            raise invalid_arguments("missing required field: view")
        view: Json = copy.deepcopy(value)
        if len(json.dumps(view)) > LARGEST_VIEW:
            raise SlackError("view_too_large")
        problems = _view_problems(view, surface)
        try:
            view["blocks"] = check_blocks(view.get("blocks"), surface)
        except SlackError as error:
            problems += [
                f"{message}".replace("json-pointer:/", "json-pointer:/view/", 1) for message in _messages(error)
            ]
        else:
            if (
                surface == "modal"
                and any(block["type"] == "input" for block in view["blocks"])
                and not view.get("submit")
            ):
                problems.append("missing required field: submit [json-pointer:/view]")
        if problems:
            raise invalid_arguments(*problems)
        external_id = view.get("external_id")
        for other in self._store.views.values():
            if external_id and other is not replaces and other.open and other.body["external_id"] == external_id:
                raise SlackError("duplicate_external_id")
        return view


def _messages(error: SlackError) -> list[str]:
    found = error.fields.get("errors")
    return [str(message) for message in found] if isinstance(found, list) else [f"{error.error} [json-pointer:/blocks]"]


def _view_problems(view: Json, surface: ViewSurface) -> list[str]:
    problems = []
    if view.get("type") != surface:
        problems.append(f"must be a valid enum value: {surface} [json-pointer:/view/type]")
    for name in ("title", "submit", "close") if surface == "modal" else ():
        text = view.get(name)
        if text is None:
            if name == "title":
                problems.append("missing required field: title [json-pointer:/view]")
        elif not isinstance(text, dict) or text.get("type") != "plain_text" or not text.get("text"):
            problems.append(f"must be a plain_text object [json-pointer:/view/{name}]")
        elif len(text["text"]) > TITLE_LENGTH:
            problems.append(f"must be less than {TITLE_LENGTH + 1} characters [json-pointer:/view/{name}/text]")
    for name, longest in (("callback_id", 255), ("private_metadata", 3000), ("external_id", 255)):
        if len(str(view.get(name) or "")) > longest:
            problems.append(f"must be less than {longest + 1} characters [json-pointer:/view/{name}]")
    return problems
