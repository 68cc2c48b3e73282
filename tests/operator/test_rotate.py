"""D3: new credentials are checked first, then all or none are stored; the webhook also accepts the previous secret."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Self

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from ir_operator import __main__ as command
from ir_operator.deploy import slack_credentials
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.faults import Fault
from tests.support.operations import Deployed, deployed_in
from tests.support.world import HttpAnswer, World

NAMED = ["--prefix", "security-incident", "--region", "us-east-1"]
ROOT = "/SecurityIncidentResponse/"
TOKEN, SECRET, WORKSPACE = (ROOT + name for name in ("slackBotToken", "slackSigningSecret", "slackWorkspaceId"))


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setenv("SKIP_VERIFICATION", "1")
    with deployed_in(world) as deployed:
        deployed.set_environment(SLACK_API_BASE_URL=world.environment["SLACK_API_BASE_URL"])
        yield deployed


@pytest.fixture
def rotate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def rotate(*, revoke_previous: bool = False, **given: str) -> tuple[int, str]:
        """Return the exit code and all output, with only the new values in the environment."""
        for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_WORKSPACE_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(f"SLACK_{name.upper()}", value)
        capsys.readouterr()
        code = command.main(["rotate", *NAMED, *(["--revoke-previous"] if revoke_previous else [])])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return rotate


Rotate = Callable[..., tuple[int, str]]


def stored() -> dict[str, str]:
    ssm = boto3.client("ssm")
    names = (TOKEN, SECRET, WORKSPACE)
    return {name: ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] for name in names}


def versions() -> dict[str, int]:
    ssm = boto3.client("ssm")
    return {name: ssm.get_parameter(Name=name)["Parameter"]["Version"] for name in (TOKEN, SECRET, WORKSPACE)}


def test_given_new_token_and_secret_when_rotated_then_both_are_stored_and_the_functions_use_them(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    case_id = world.create_case()
    world.settle()
    old, old_secret = world.app.token, world.app.signing_secret
    new = world.workspace.issue_token(world.app)

    code, printed = rotate(bot_token=new, signing_secret="a" * 32)

    assert code == 0
    assert stored() == {TOKEN: new, SECRET: "a" * 32, WORKSPACE: world.workspace.team_id}
    assert f"workspace id    {WORKSPACE} already has this value" in printed
    assert "rotated: the functions use the new values within five minutes" in printed
    assert not any(secret in printed for secret in (new, old, old_secret, "a" * 32))

    # Slack switches: the old token is revoked, and requests are signed with the new secret.
    world.workspace.revoke_token(old)
    world.advance(301)
    assert world.workspace.verify_request_url(world.app), "the webhook still accepts the old secret"
    world.app.signing_secret = "a" * 32
    deployed.team[0].post(world.channel_of(case_id), "after the rotation")
    world.settle()
    assert any("after the rotation" in body for body in world.comments(case_id))
    assert deployed.red() == {}


def test_given_a_rotation_when_the_time_is_over_then_the_secret_before_is_refused(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    assert rotate(signing_secret="a" * 32)[0] == 0
    assert world.workspace.verify_request_url(world.app)

    world.advance(24 * 3600 + 1)

    assert not world.workspace.verify_request_url(world.app)


def test_given_the_secret_was_just_rotated_when_the_token_follows_then_the_secret_before_stays_good(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    rotate(signing_secret="a" * 32)
    before = versions()[SECRET]

    code, _ = rotate(signing_secret="a" * 32, bot_token=world.workspace.issue_token(world.app))

    assert code == 0
    assert versions()[SECRET] == before, "the same secret again would hide the one before it"
    assert world.workspace.verify_request_url(world.app)


def test_given_no_credentials_yet_when_first_given_then_the_workspace_is_the_tokens(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    ssm = boto3.client("ssm")
    for name in (TOKEN, SECRET, WORKSPACE):
        ssm.put_parameter(Name=name, Value="not-configured", Overwrite=True)

    code, _ = rotate(bot_token=world.app.token, signing_secret=world.app.signing_secret)

    assert code == 0
    assert stored()[WORKSPACE] == world.workspace.team_id
    world.advance(301)
    deployed.poll()
    assert deployed.red() == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"bot_token": "xoxp-1-2-abc"}, "The bot token is invalid. It must be xoxb-NUMBERS"),
        ({"signing_secret": "f" * 31}, "The signing secret is invalid. It must be 32 hexadecimal characters"),
        ({"workspace_id": "t123"}, "The workspace id is invalid."),
        ({"bot_token": "xoxb-1-2-abcdef"}, "Slack rejected the token (invalid_auth)"),
    ],
)
def test_given_wrong_credentials_when_rotated_then_they_are_refused_unseen_and_nothing_is_written(
    deployed: Deployed, rotate: Rotate, given: dict[str, str], says: str
) -> None:
    before, numbers = stored(), versions()

    code, printed = rotate(**given)

    assert code == 1
    assert says in printed
    assert not any(value in printed for value in given.values())
    assert (stored(), versions()) == (before, numbers)


def test_given_a_token_without_a_scope_when_rotated_then_it_is_refused_and_nothing_is_written(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    numbers = versions()
    world.app.scopes.discard("usergroups:read")

    code, printed = rotate(bot_token=world.workspace.issue_token(world.app), signing_secret="a" * 32)

    assert code == 1
    assert "lacks the scopes usergroups:read" in printed
    assert versions() == numbers


def test_given_a_token_of_another_workspace_when_rotated_then_it_is_refused_unless_that_is_meant(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    boto3.client("ssm").put_parameter(Name=WORKSPACE, Value="T9999999999", Overwrite=True)
    numbers = versions()
    token = world.workspace.issue_token(world.app)

    code, printed = rotate(bot_token=token)

    assert code == 1
    assert "ir-router serves T9999999999" in printed
    code, printed = rotate(bot_token=token, workspace_id="T8888888888")
    assert (code, "but SLACK_WORKSPACE_ID is T8888888888" in printed, "serves" in printed) == (1, True, False)
    assert versions() == numbers

    assert rotate(bot_token=token, workspace_id=world.workspace.team_id)[0] == 0
    assert stored()[WORKSPACE] == world.workspace.team_id


def test_given_slack_out_of_reach_when_rotated_then_nothing_is_written(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    deployed.set_environment(SLACK_API_BASE_URL="http://127.0.0.1:9/api/")
    numbers = versions()

    code, printed = rotate(bot_token=world.workspace.issue_token(world.app))

    assert code == 1
    assert "The token could not be verified, so nothing was changed." in printed
    assert versions() == numbers


# Partial failures


class Halfway:
    """Fail the writes of parameters from the `number`th up to `until`, before or (`landed`) after their effect."""

    def __init__(self, number: int, fail: Callable[[], Any], *, landed: bool = False, until: int | None = None) -> None:
        self.count = 0
        self._failing = range(number, (until or number) + 1)
        self._fail = fail
        self._event = "after-call.ssm.PutParameter" if landed else "before-call.ssm.PutParameter"

    def __enter__(self) -> Self:
        boto3.DEFAULT_SESSION.events.register(self._event, self)  # type: ignore[union-attr]
        return self

    def __exit__(self, *_: object) -> None:
        boto3.DEFAULT_SESSION.events.unregister(self._event, self)  # type: ignore[union-attr]

    def __call__(self, **_: Any) -> Any:
        self.count += 1
        return self._fail() if self.count in self._failing else None


def refuse() -> Any:
    return HttpAnswer(400), {"Error": {"Code": "TooManyUpdates", "Message": "no"}}


def lose() -> None:
    raise EndpointConnectionError(endpoint_url="https://ssm")


def interrupt() -> None:
    raise KeyboardInterrupt


def end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


FAILURES = {
    "refused": (refuse, False, 1),
    "no connection": (lose, False, 1),
    "landed, its answer lost": (lose, True, 1),
    "Ctrl-C before": (interrupt, False, 130),
    "Ctrl-C after": (interrupt, True, 130),
    "SIGTERM before": (end, False, 130),
    "SIGTERM after": (end, True, 130),
}


def test_given_a_failure_at_any_write_when_rotated_then_all_earlier_values_are_back(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    boto3.client("ssm").put_parameter(Name=WORKSPACE, Value="T9999999999", Overwrite=True)
    before = stored()
    for how, (fail, landed, code) in FAILURES.items():
        for number in (1, 2, 3):
            with Halfway(number, fail, landed=landed) as writes:
                found, printed = rotate(
                    bot_token=world.workspace.issue_token(world.app),
                    signing_secret=f"{writes.count:0>32}",
                    workspace_id=world.workspace.team_id,
                )

            assert writes.count >= number, (how, number)
            assert found == code, (how, number)
            assert stored() == before, (how, number)
            assert code == 130 or "All earlier values are restored." in printed, (how, number)
    assert world.workspace.verify_request_url(world.app), "Slack's requests still pass"


def test_given_values_that_cannot_be_put_back_when_rotated_then_it_names_them(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    with Halfway(2, refuse, until=100):
        code, printed = rotate(bot_token=world.workspace.issue_token(world.app), signing_secret="a" * 32)

    assert code == 1
    assert f"could not be restored: {SECRET}" in printed
    assert TOKEN not in printed.partition("could not be restored")[2]
    assert "Run make rotate again" in printed


def test_given_the_key_and_description_when_rotated_then_they_stay(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    ssm = boto3.client("ssm")
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    ssm.put_parameter(
        Name=SECRET, Value="b" * 32, Type="SecureString", KeyId=key, Description="Signing Secret", Overwrite=True
    )

    rotate(signing_secret="a" * 32)

    (described,) = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [SECRET]}])["Parameters"]
    assert (described["KeyId"], described["Description"], described["Type"]) == (key, "Signing Secret", "SecureString")


# Prompts


def test_given_neither_environment_nor_terminal_when_rotated_then_it_says_what_to_set(
    deployed: Deployed, rotate: Rotate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    code, printed = rotate()

    assert code == 1
    assert "Set SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET" in printed


def test_given_a_terminal_when_asked_then_secrets_are_typed_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    unseen = iter(["xoxb-1-2-abc\n", ""])
    monkeypatch.setattr("sys.stdin", _Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: next(unseen))
    monkeypatch.setattr("builtins.input", lambda _: "")

    new = slack_credentials.collect()

    assert (new.bot_token, new.signing_secret, new.workspace_id) == ("xoxb-1-2-abc", None, None)
    assert "xoxb" not in repr(new)


class _Terminal:
    def isatty(self) -> bool:
        return True


def test_given_a_reinstalled_app_when_its_token_is_rotated_then_the_way_to_a_new_one_and_the_channels_are_shown(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    case_id = world.create_case()
    world.settle()
    before = versions()
    same = world.workspace.reinstall(world.app)

    code, printed = rotate(bot_token=same, signing_secret="a" * 32)

    assert code == 1
    assert "This token is stored already, so nothing was changed." in printed
    assert "Revoke All OAuth Tokens" in printed
    assert f"#{world.workspace.channel(world.channel_of(case_id)).name}" in printed
    assert same not in printed
    assert versions() == before


def test_given_a_revoked_token_when_the_app_is_installed_again_then_its_new_token_is_stored(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    old = world.app.token
    world.workspace.revoke_token(old)
    code, printed = rotate(bot_token=old)
    assert code == 1
    assert "Invite the app to its channels again" in printed, "Slack no longer lists them"

    new = world.workspace.reinstall(world.app)
    code, _ = rotate(bot_token=new)

    assert code == 0
    assert new != old
    assert stored()[TOKEN] == new


def test_given_a_new_token_when_rotated_with_revoke_previous_then_slack_refuses_the_old_one(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    old, new = world.app.token, world.workspace.issue_token(world.app)
    assert rotate(bot_token=new)[0] == 0
    assert deployed.red() == {"previous Slack token": "the bot token of version 1 still works"}

    code, printed = rotate(revoke_previous=True)

    assert code == 0
    assert "1 revoked; Slack refuses all 1" in printed
    assert old not in printed
    with pytest.raises(SlackError, match="token_revoked"):
        world.workspace.app_of_token(old)
    assert stored()[TOKEN] == new
    assert deployed.red() == {}
    assert "0 revoked" in rotate(revoke_previous=True)[1], "a second time changes nothing"


def test_given_an_unreachable_slack_when_the_previous_token_is_revoked_then_the_error_names_what_still_works(
    deployed: Deployed, world: World, rotate: Rotate
) -> None:
    new = world.workspace.issue_token(world.app)
    world.workspace.faults.add(Fault("auth.revoke", "status", status=503))

    code, printed = rotate(bot_token=new, revoke_previous=True)

    assert code == 1
    assert "an earlier token still works" in printed
    assert stored()[TOKEN] == new
