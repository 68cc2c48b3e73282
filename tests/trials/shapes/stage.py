"""The initial state of an entry, and changes to it: people, channels, settings, IAM, cases, an incident."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from moto.iam.models import iam_backends

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.security_ir.records import AWS_RESPONDER
from ir_sandbox.slack.model import Channel, User
from ir_sandbox.slack.people import Person
from tests.support.operations import Resources
from tests.trials.shapes import entries
from tests.trials.shapes.aws_side import AwsSide, attach, put_key
from tests.trials.shapes.entries import CASE, CHANNEL, JANE, SECURITY_CHANNEL, STRANGERS_TEAM, Entry, Step
from tests.trials.shapes.slack_side import SlackSide, content_of
from tests.trials.world import ACCOUNT, World, deployment, incidents
from tests.trials.world.state_machine import StateMachine

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import TagTypeDef

_PEOPLE = (
    (entries.JANE, "jane.smith", "Jane Smith", entries.TEAM),
    (entries.BOB, "bob.brown", "Bob Brown", entries.TEAM),
    (entries.ANN, "ann.lee", "Ann Lee", entries.TEAM),
    (entries.COLLEAGUE, "colleague", "Cora Colleague", entries.SISTER_TEAM),
    (entries.STRANGER, "eve.external", "Eve External", entries.STRANGERS_TEAM),
)
_TEAM_OF_THE_CASE = (entries.JANE, entries.BOB, entries.ANN)
# The deny policy by its name in a deployment (terraform/containment.tf): events name it, and detections look for it.
# A membership has a team of two or more.
_SECOND_OF_A_TEAM = "second@example.com"
_SPELLINGS = {"private_channels": "slack_channel_visibility", "enforce": "containment_mode"}
_VARIABLE = re.compile(r"(IR_[A-Z_]+)\s*=\s*(?:jsonencode|tostring)?\(?(?:var|local)\.([a-z_]+)\)?")

Given = Callable[[Any], None]


class CannotPlayError(Exception):
    """The player cannot carry out a step."""


class Stage:
    """The set-up of one entry's world."""

    def __init__(self, world: World, entry: Entry, slack: SlackSide, aws: AwsSide) -> None:
        """Prepare an empty stage; `build` fills it."""
        self.world = world
        self.entry = entry
        self.slack = slack
        self.aws = aws
        self.store = world.workspace.store
        self.machine = StateMachine(world)
        world.carriers.append(self.machine.carry)
        self._kinds: Mapping[str, Given] = {
            "settings": self._settings,
            "iam_user": self._iam_user,
            "user": self._iam_user,
            "iam_role": self._iam_role,
            "role": self._iam_role,
            "allowlist": self._allowlist,
            "response_team": self._response_team,
            "user_group": self._user_group,
            "slack_user": self._slack_user,
            "case": self._case,
            "case_comment": self._case_comment,
            "case_attachment": self._case_attachment,
            "case_closed_by": self._case_closed_by,
            "case_status": self._case_status,
            "slack_message": self._slack_message,
        }

    # Before the first step

    def build(self) -> None:
        """Create the people and the channels."""
        if entries.ORGANISATION in self.entry.text:
            self.store.enterprise_id = entries.ORGANISATION
        for user_id, name, real_name, team in _PEOPLE:
            self.add_user(user_id, name, real_name, team)
        bot = User(entries.OTHER_BOT_USER, entries.TEAM, "deploy", "Deploy", is_bot=True)
        bot.bot_id, bot.app_id = entries.OTHER_BOT, entries.OTHER_APP
        self.store.users[bot.id] = bot
        self._response_team(["jane.smith@example.com", "ann.lee@example.com"])
        self.add_channel(SECURITY_CHANNEL, "security", [JANE, entries.ANN, entries.BOT_USER])
        self.world.environment["IR_SECURITY_CHANNEL_ID"] = SECURITY_CHANNEL
        self.resources = Resources(self.world)
        self.slack.describe()

    def needs_case(self) -> bool:
        """Return whether the entry speaks of a case and its channel that it does not create itself."""
        if any("case" in step.content for step in self.entry.of("given") if isinstance(step.content, Mapping)):
            return False
        if self.entry.of("aws_sends"):
            return False  # its incident has a case
        acts = self.entry.of("slack_sends", "person")
        if self.needs_incident():
            return bool(acts) and acts[0].kind == "slack_sends" and not _presses(acts[0])
        if any(re.search(r"submits? .*\bcreate\b", str(step.content)) for step in self.entry.of("person")):
            return CHANNEL in self.entry.text
        speaks = CHANNEL in self.entry.text or CASE in self.entry.text or "security-ir" in self.entry.text
        return bool(acts) or speaks or bool(self.entry.of("given", "slack_answers"))

    def needs_incident(self) -> bool:
        """Return whether a question waits that no event of the entry caused."""
        if self.entry.of("aws_sends"):
            return False
        waits = any(re.search(r"incident|question|contained", str(step.content)) for step in self.entry.of("person"))
        return waits or any(_presses(step) for step in self.entry.of("slack_sends"))

    def start_case(self) -> None:
        """Create a case with its channel, in which people of every kind are."""
        watchers = [{"email": f"{name}@example.com", "name": real} for _, name, real, team in _PEOPLE[:3]]
        self.world.create_case(title="Suspicious API activity", watchers=watchers)
        self.world.settle(patience=30)
        self.world.poll()
        self.world.settle(patience=30)
        self.welcome()

    def start_incident(self) -> None:
        """Report a new key of a user, so that a question waits."""
        keys = incidents.user("backdoor")
        event = incidents.key_created(self.world, "backdoor", keys[0])
        self.machine.start(event, "incident-that-waits")
        self.world.settle(patience=30)
        self.world.live(1)
        self.welcome()

    def welcome(self) -> None:
        """Add the response team and people of other workspaces to the case channel."""
        channel = self.store.channels.get(CHANNEL)
        if channel is None:
            return
        named = [name for name in (entries.COLLEAGUE, entries.STRANGER) if name in self.entry.text]
        for user_id in (*named, *_TEAM_OF_THE_CASE):
            if user_id not in channel.members:
                channel.members.append(user_id)
        channel.is_ext_shared = STRANGERS_TEAM in self.entry.text

    # Parts

    def add_user(self, user_id: str, name: str, real_name: str, team: str) -> User:
        """Create a person with the given id."""
        user = User(user_id, team, name, real_name, email=f"{name}@example.com")
        user.is_stranger = team != entries.TEAM
        user.updated = int(self.world.now())
        user.enterprise_id = self.store.enterprise_id if team == entries.TEAM else None
        self.store.users[user_id] = user
        return user

    def ensure_user(self, user_id: str, team: str | None = None) -> None:
        """Create the user of a request unless it exists."""
        if user_id and user_id not in self.store.users:
            self.add_user(user_id, user_id.lower(), f"Person {user_id[-1]}", team or entries.TEAM)

    def person(self, user_id: str = JANE) -> Person:
        """Return a person to act as."""
        return Person(self.world.workspace, self.store.user(user_id))

    def add_channel(self, channel_id: str, name: str, members: Sequence[str]) -> Channel:
        """Create a public channel with the given id."""
        channel = Channel(channel_id, name, "public", members[0], int(self.world.now()), list(members))
        self.store.channels[channel_id] = channel
        return channel

    def case_id(self) -> str:
        """Return the case that the entry is about; raises CannotPlayError if there is none."""
        cases = self.world.security_ir.snapshot()["cases"]
        if not cases:
            raise CannotPlayError("there is no case")
        return CASE if CASE in cases else str(next(iter(cases)))

    # Initial state

    def give(self, step: Step) -> Iterator[str]:
        """Set up the state of a `given` step; yield each unknown part."""
        content = step.content if isinstance(step.content, Mapping) else {str(step.content): True}
        for kind, value in content.items():
            if kind == "at":
                continue
            act = self._kinds.get(kind)
            if act is None:
                yield f"given {kind}: unknown"
                continue
            try:
                act(value)
            except CannotPlayError as error:
                yield f"given {kind}: {error}"

    def _settings(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name == "slack_workspace_id":
                deployment.put_parameters(self.world.app.token, self.world.app.signing_secret, str(value))
            elif name == "private_channels":
                self.world.environment["IR_CHANNEL_VISIBILITY"] = "private" if value else "public"
            elif name == "channel_prefix":
                path = "/SecurityIncidentResponse/slackChannelPrefix"
                boto3.client("ssm").put_parameter(Name=path, Value=str(value), Type="String", Overwrite=True)
            elif name.endswith("_ago"):
                continue  # the time of a change; the entry's answers have its consequences
            else:
                self.world.environment[_variable(name)] = _as_variable(value)
        deployment.forget_everything()

    def _iam_user(self, value: Any) -> None:
        for one in _each(value):
            name = str(one["name"])
            backend = iam_backends[ACCOUNT]["aws"]
            if name not in backend.users:
                boto3.client("iam").create_user(UserName=name, Path=str(one.get("path") or "/"))
            keys = one.get("keys") or {}
            for key, status in keys.items() if isinstance(keys, Mapping) else [(key, "Active") for key in keys]:
                put_key(name, str(key), str(status))
            self._policies(name, one, is_role=False)

    def _iam_role(self, value: Any) -> None:
        for one in _each(value):
            name = str(one["name"])
            services = _each_text(one.get("services") or one.get("service") or one.get("assumed_by"))
            incidents.role(name, str(one.get("path") or "/"), services)
            trust = one.get("trust") or one.get("trust_policy") or one.get("assume_role_policy")
            if trust:
                text = trust if isinstance(trust, str) else json.dumps(trust)
                boto3.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=text)
            for profile in _each_text(one.get("instance_profiles") or one.get("instance_profile")):
                boto3.client("iam").create_instance_profile(InstanceProfileName=profile)
                boto3.client("iam").add_role_to_instance_profile(InstanceProfileName=profile, RoleName=name)
            self._policies(str(one["name"]), one, is_role=True)

    def _policies(self, name: str, one: Mapping[str, Any], *, is_role: bool) -> None:
        for field in ("attached", "policies", "attached_policies", "managed_policies"):
            for policy in _each_text(one.get(field)):
                arn = policy if policy.startswith("arn:") else f"arn:aws:iam::aws:policy/{policy}"
                attach(name, arn, arn.rpartition("/")[2], is_role=is_role)
        for policy, document in (one.get("inline") or one.get("inline_policies") or {}).items():
            text = document if isinstance(document, str) else json.dumps(document)
            iam = boto3.client("iam")
            if is_role:
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
            else:
                iam.put_user_policy(UserName=name, PolicyName=policy, PolicyDocument=text)
        tags = one.get("tags") or {}
        if tags:
            listed: list[TagTypeDef] = [{"Key": key, "Value": str(value)} for key, value in tags.items()]
            iam = boto3.client("iam")
            _ = iam.tag_role(RoleName=name, Tags=listed) if is_role else iam.tag_user(UserName=name, Tags=listed)

    def _allowlist(self, value: Any) -> None:
        for one in _each(value):
            task = {"task": "allowlist_add", "added_by": "operator", "reason": "given", **one}
            answer = self.world.try_invoke("workflow", task)
            if answer.error is not None:
                raise CannotPlayError(f"the entry was refused: {answer.error}")

    def _response_team(self, value: Any) -> None:
        team = []
        people = value if isinstance(value, list) else [value]
        for one in people if len(people) > 1 else [*people, _SECOND_OF_A_TEAM]:
            email = str(one.get("email") if isinstance(one, Mapping) else one)
            name = str(one.get("name") or email) if isinstance(one, Mapping) else email.partition("@")[0]
            team.append({"name": name, "jobTitle": "Analyst", "email": email})
        self.world.security_ir.set_response_team(team)
        # No rule matches the service's events about memberships (terraform/events.tf).
        self.world.security_ir.events.wait_until_idle()
        self.world.hints[:] = [hint for hint in self.world.hints if str(hint["detail-type"]).startswith("Case ")]

    def _user_group(self, value: Any) -> None:
        for one in _each(value):
            handle = str(one.get("handle") or one.get("name") or "group")
            made = self.world.workspace.create_user_group(handle, list(one.get("users") or [JANE]))
            del self.store.user_groups[made.id]
            made.id, made.name = str(one.get("id") or made.id), str(one.get("name") or made.name)
            self.store.user_groups[made.id] = made

    def _slack_user(self, value: Any) -> None:
        for one in _each(value):
            self.slack.keep_user(one)

    def _case(self, value: Any) -> None:
        fields = dict(value) if isinstance(value, Mapping) else {"title": str(value)}
        names = {"title", "description", "watchers", "resolverType", "engagementType", "tags", "impactedAccounts"}
        known = {name: item for name, item in fields.items() if name in names}
        self.world.create_case(**{"watchers": [], **known})
        if status := fields.get("status"):
            self._case_status(status)
        if not self.entry.of("slack_answers"):
            self.world.settle(patience=0)

    def _case_comment(self, value: Any) -> None:
        one = value if isinstance(value, Mapping) else {"body": value}
        creator = str(one.get("by") or one.get("creator") or AWS_RESPONDER)
        self.world.security_ir.add_comment_as(self.case_id(), creator, str(one.get("body") or one.get("text") or ""))

    def _case_attachment(self, value: Any) -> None:
        for one in _each(value):
            name = str(one.get("fileName") or one.get("name") or "report.txt")
            self.world.security_ir.add_attachment_as(
                self.case_id(),
                str(one.get("creator") or one.get("by") or AWS_RESPONDER),
                file_name=name,
                content=content_of(name, int(one.get("size") or 10)),
                content_type=str(one.get("contentType") or "application/octet-stream"),
            )
            status = {"fileName": name, "attachmentStatus": one.get("attachmentStatus", "Verified")}
            self.aws.apply({"operation": "GetCase", "body": {"caseAttachments": [status]}})

    def _case_closed_by(self, value: Any) -> None:
        self.world.security_ir.close_case_as(self.case_id(), creator=str(value))

    def _case_status(self, value: Any) -> None:
        one = value if isinstance(value, Mapping) else {"status": value}
        self.world.security_ir.set_status_as(self.case_id(), str(one["status"]), str(one.get("by") or AWS_RESPONDER))

    def _slack_message(self, value: Any) -> None:
        one = value if isinstance(value, Mapping) else {"text": value}
        user = str(one.get("user") or JANE)
        self.ensure_user(user)
        channel = str(one.get("channel") or self.channel())
        self.person(user).post(channel, str(one.get("text") or ""), thread_ts=one.get("thread_ts"))
        self.world.deliver()

    def channel(self) -> str:
        """Return the case channel; raises CannotPlayError if there is none."""
        if CHANNEL in self.store.channels:
            return CHANNEL
        prefix = "aws-security-incident-response-case-"
        for channel in self.store.channels.values():
            if channel.name.startswith(prefix):
                return channel.id
        raise CannotPlayError("there is no case channel")


def _presses(step: Step) -> bool:
    """Return whether a request of Slack presses a button of a question, or submits its form."""
    payload = (step.content.get("form") or {}).get("payload") if isinstance(step.content, Mapping) else None
    if not isinstance(payload, Mapping):
        return False
    if payload.get("type") == "view_submission":
        return str((payload.get("view") or {}).get("callback_id", "")).startswith("approval")
    return any("approval" in str(action.get("action_id")) for action in payload.get("actions") or [])


@cache
def _variables() -> Mapping[str, str]:
    """Return the functions' environment variable of each Terraform variable (terraform/functions.tf)."""
    text = (PROJECT_ROOT / "terraform" / "functions.tf").read_text("utf-8")
    return {found[2]: found[1] for found in _VARIABLE.finditer(text)}


def _variable(name: str) -> str:
    known = _variables()
    name = _SPELLINGS.get(name, name)
    return known.get(name) or known.get(f"slack_{name}") or f"IR_{name.upper()}"


def _as_variable(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def _each(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [one if isinstance(one, Mapping) else {"name": str(one), "value": one} for one in found]


def _each_text(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [str(one) for one in value]
    found = value if isinstance(value, list) else [value]
    return [
        str(one.get("PolicyArn") or one.get("PolicyName")) if isinstance(one, Mapping) else str(one) for one in found
    ]
