"""Convert the values that a user enters in a modal to the `state.values` that the app receives."""

from __future__ import annotations

from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Json, View


def find_element(body: Json, action_id: str) -> tuple[str, Json]:
    """Return the block id and element of an `action_id` in a message or view.

    Raises SlackError `action_not_found`.
    """
    for block in body.get("blocks") or []:
        candidates = [block.get("accessory"), block.get("element"), *(block.get("elements") or [])]
        for element in candidates:
            if isinstance(element, dict) and element.get("action_id") == action_id:
                return block["block_id"], element
    raise SlackError("action_not_found")


def view_state(view: View, values: dict[str, object]) -> Json:
    """Return the `state.values` of a completed modal.

    Args:
        view: The modal.
        values: The entered values by `action_id`; other fields keep their initial values.

    Raises:
        SlackError: `action_not_found` with the `unknown` action ids, `invalid_option`.
    """
    state: Json = {}
    unknown = set(values)
    for block in view.body["blocks"]:
        for element in [block.get("element"), block.get("accessory"), *(block.get("elements") or [])]:
            if not isinstance(element, dict) or "action_id" not in element or element.get("type") == "button":
                continue
            action_id = element["action_id"]
            unknown.discard(action_id)
            given = values[action_id] if action_id in values else _initial(element)
            state.setdefault(block["block_id"], {})[action_id] = _element_state(element, given)
    if unknown:
        raise SlackError("action_not_found", unknown=sorted(unknown))
    return state


def _initial(element: Json) -> object:
    for name in ("initial_option", "initial_options"):
        if name in element:
            options = element[name]
            return options["value"] if isinstance(options, dict) else [option["value"] for option in options]
    return next((value for name, value in element.items() if name.startswith("initial_")), None)


def _element_state(element: Json, given: object) -> Json:
    kind = element["type"]
    state: Json = {"type": kind}
    match kind:
        case "static_select" | "radio_buttons":
            state["selected_option"] = _option(element, given) if given is not None else None
        case "multi_static_select" | "checkboxes":
            wanted = given if isinstance(given, list) else []
            state["selected_options"] = [_option(element, value) for value in wanted]
        case "users_select" | "conversations_select" | "channels_select":
            state[f"selected_{kind.removesuffix('s_select')}"] = given
        case "multi_users_select" | "multi_conversations_select" | "multi_channels_select":
            state[f"selected_{kind.removeprefix('multi_').removesuffix('_select')}"] = given or []
        case "datepicker":
            state["selected_date"] = given
        case "timepicker":
            state["selected_time"] = given
        case "datetimepicker":
            state["selected_date_time"] = given
        case _:
            state["value"] = None if given in (None, "") else str(given)
    return state


def _option(element: Json, value: object) -> Json:
    groups: list[Json] = element.get("option_groups") or []
    options: list[Json] = [
        *(element.get("options") or []),
        *(option for group in groups for option in group["options"]),
    ]
    for option in options:
        if option["value"] == value:
            return {"text": option["text"], "value": option["value"]}
    raise SlackError("invalid_option")
