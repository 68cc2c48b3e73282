"""Parse the watchers in the argument of `add-watcher` and `remove-watcher`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ir_router.cases.models import Person
from ir_router.commands import rendering
from ir_router.commands.command import Command
from ir_router.errors import InvalidInputError
from ir_router.sync import members

_SEPARATORS = re.compile(r"[\s,;]+")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_MAIL_LINK = re.compile(r"<mailto:([^|<>]+)(?:\|[^<>]*)?>")
# botocore's pattern of a watcher's e-mail, 6 to 254 characters.
_ADDRESS = re.compile(r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*")
_NAME_LENGTH = 50


def named(command: Command) -> list[Person]:
    """Return the watchers named as `@name` or e-mail address, each once. Raises InvalidInputError for other words."""
    people: dict[str, Person] = {}
    for word in filter(None, _SEPARATORS.split(_MENTION.sub(r" <@\1> ", command.argument))):
        person = _person(command, word)
        people.setdefault(person.email.lower(), person)
    return list(people.values())


def require_inside(people: Sequence[Person]) -> None:
    """Raise InvalidInputError if an address is outside of `watcher_domains`."""
    inside = members.invited_watchers(people)
    if outside := [person for person in people if person not in inside]:
        raise InvalidInputError(rendering.outside_address(shown(outside)))


def of_user(command: Command, user_id: str) -> Person | None:
    """Return a Slack user as a watcher, or None when Slack shows no e-mail address for them."""
    profile = command.names.user(user_id).get("profile") or {}
    address = str(profile.get("email") or "")
    if not is_address(address):
        return None
    return Person(email=address, name=command.names.real_name(user_id)[:_NAME_LENGTH])


def is_address(text: str) -> bool:
    """Return whether AWS accepts the text as a watcher's e-mail address."""
    return 6 <= len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def shown(people: Sequence[Person]) -> str:
    """Return watchers as text, for example `Jane Smith (jane@example.com), john@example.com`."""
    return ", ".join(f"{person.name} ({person.email})" if person.name else person.email for person in people)


def as_parameter(people: Sequence[Person]) -> list[dict[str, str]]:
    """Return watchers as the API's parameter."""
    return [{"email": person.email} | ({"name": person.name} if person.name else {}) for person in people]


def _person(command: Command, word: str) -> Person:
    mention = _MENTION.fullmatch(word)
    if mention:
        person = of_user(command, mention[1])
        if person is None:
            raise InvalidInputError(rendering.no_address(command.names.real_name(mention[1])))
        return person
    link = _MAIL_LINK.fullmatch(word)
    address = link[1] if link else word
    if not is_address(address):
        raise InvalidInputError(rendering.not_a_person(word))
    return Person(email=address)
