"""Check Block Kit's interactive elements and composition objects."""

from __future__ import annotations

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.store import random_word

CHOICES = {
    "static_select": 100,
    "multi_static_select": 100,
    "overflow": 5,
    "radio_buttons": 10,
    "checkboxes": 10,
}
PICKERS = frozenset(
    {
        "channels_select",
        "conversations_select",
        "datepicker",
        "datetimepicker",
        "email_text_input",
        "external_select",
        "file_input",
        "multi_channels_select",
        "multi_conversations_select",
        "multi_external_select",
        "multi_users_select",
        "number_input",
        "rich_text_input",
        "timepicker",
        "url_text_input",
        "users_select",
    }
)


class Checker:
    """Collects validation errors in Slack's wording, each with a JSON pointer to the invalid value.

    Each method checks one kind of value: `pointer` is its JSON pointer, `longest` its maximum length in characters, and
    `most` the maximum number of items.
    """

    def __init__(self) -> None:
        """Start without errors."""
        self.errors: list[str] = []

    def error(self, message: str, pointer: str) -> None:
        """Add an error."""
        self.errors.append(f"{message} [json-pointer:{pointer}]")

    def string(self, value: object, pointer: str, longest: int, *, shortest: int = 1) -> None:
        """Check a required string of `shortest` to `longest` characters."""
        if value is None:
            self.error(f"missing required field: {pointer.rsplit('/', 1)[1]}", pointer.rsplit("/", 1)[0])
        elif not isinstance(value, str):
            self.error("must be a string", pointer)
        elif len(value) < shortest:
            self.error(f"must be more than {shortest - 1} characters", pointer)
        elif len(value) > longest:
            self.error(f"must be less than {longest + 1} characters", pointer)

    def text(self, value: object, pointer: str, longest: int, *, plain: bool = False) -> None:
        """Check a required text object: `plain_text`, and also `mrkdwn` unless `plain` is set."""
        if value is None:
            self.error(f"missing required field: {pointer.rsplit('/', 1)[1]}", pointer.rsplit("/", 1)[0])
            return
        if not isinstance(value, dict):
            self.error("must be an object", pointer)
            return
        before = len(self.errors)
        kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
        if value.get("type") not in kinds:
            self.error(f"must be a valid enum value: {', '.join(sorted(kinds))}", f"{pointer}/type")
        self.string(value.get("text"), f"{pointer}/text", longest)
        if len(self.errors) > before:
            self.errors.insert(before, f"failed to match all allowed schemas [json-pointer:{pointer}]")

    def items(self, value: object, pointer: str, *, most: int | None) -> list[Json]:
        """Check a list of at least one object and return it, or an empty list if it is not a list of objects."""
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.error("must be an array", pointer)
            return []
        if not value:
            self.error("no fewer than 1 items allowed", pointer)
        if most is not None and len(value) > most:
            self.error(f"no more than {most} items allowed", pointer)
        return value

    def elements(self, value: object, pointer: str, *, most: int) -> None:
        """Check the elements of an `actions` block; each `action_id` must be unique."""
        seen: set[str] = set()
        for index, element in enumerate(self.items(value, pointer, most=most)):
            place = f"{pointer}/{index}"
            self.element(element, place)
            action_id = str(element.get("action_id"))
            if action_id in seen:
                self.error(f"`action_id` {action_id} already exists", f"{place}/action_id")
            seen.add(action_id)

    def element(self, value: object, pointer: str) -> None:
        """Check one interactive element; add an `action_id` if it has none."""
        if not isinstance(value, dict):
            self.error("must be an object", pointer)
            return
        kind = value.get("type")
        if kind == "image":
            self.string(value.get("image_url"), f"{pointer}/image_url", 3000)
            self.string(value.get("alt_text"), f"{pointer}/alt_text", 2000)
            return
        if "action_id" in value:
            self.string(value["action_id"], f"{pointer}/action_id", 255)
        else:
            value["action_id"] = random_word(5)
        if "placeholder" in value:
            self.text(value["placeholder"], f"{pointer}/placeholder", 150, plain=True)
        if "confirm" in value:
            self._confirm(value["confirm"], f"{pointer}/confirm")
        if kind == "button":
            self._button(value, pointer)
        elif kind in CHOICES:
            self._choices(value, pointer, CHOICES[kind])
        elif kind == "plain_text_input":
            self._plain_text_input(value, pointer)
        elif kind not in PICKERS:
            self.error(f"unsupported type: {kind}", f"{pointer}/type")

    def _button(self, value: Json, pointer: str) -> None:
        self.text(value.get("text"), f"{pointer}/text", 75, plain=True)
        if "value" in value:
            self.string(value["value"], f"{pointer}/value", 2000)
        if "url" in value:
            self.string(value["url"], f"{pointer}/url", 3000)
        if value.get("style", "primary") not in {"primary", "danger"}:
            self.error("must be a valid enum value: primary, danger", f"{pointer}/style")

    def _plain_text_input(self, value: Json, pointer: str) -> None:
        if "initial_value" in value:
            self.string(value["initial_value"], f"{pointer}/initial_value", 3000, shortest=0)
        for name in ("min_length", "max_length"):
            number = value.get(name)
            if number is not None and not (isinstance(number, int) and 0 <= number <= 3000):
                self.error("must be between 0 and 3000", f"{pointer}/{name}")

    def _choices(self, value: Json, pointer: str, most: int) -> None:
        options: list[Json] = []
        if "option_groups" in value:
            for index, group in enumerate(self.items(value["option_groups"], f"{pointer}/option_groups", most=100)):
                place = f"{pointer}/option_groups/{index}"
                self.text(group.get("label"), f"{place}/label", 75, plain=True)
                options += self._options(group.get("options"), f"{place}/options", most)
        else:
            options = self._options(value.get("options"), f"{pointer}/options", most)
        initial = value.get("initial_option")
        if initial is not None and initial not in options:
            self.error("initial_option does not match any of the options", f"{pointer}/initial_option")

    def _options(self, value: object, pointer: str, most: int) -> list[Json]:
        options = self.items(value, pointer, most=most)
        for index, option in enumerate(options):
            place = f"{pointer}/{index}"
            self.text(option.get("text"), f"{place}/text", 75)
            self.string(option.get("value"), f"{place}/value", 150)
            if "description" in option:
                self.text(option["description"], f"{place}/description", 75)
        return options

    def _confirm(self, value: object, pointer: str) -> None:
        if not isinstance(value, dict):
            self.error("must be an object", pointer)
            return
        self.text(value.get("title"), f"{pointer}/title", 100, plain=True)
        self.text(value.get("text"), f"{pointer}/text", 300)
        self.text(value.get("confirm"), f"{pointer}/confirm", 30, plain=True)
        self.text(value.get("deny"), f"{pointer}/deny", 30, plain=True)
