"""Read the new Slack credentials, check their formats, and verify the token with Slack."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass

from ir_operator.deploy.errors import OperationError
from ir_router.ops import formats, slack_app
from ir_router.ops.formats import Format
from ir_router.ops.slack_app import Installation, SlackUnreachableError, TokenRefusedError

_VARIABLES = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_WORKSPACE_ID")


@dataclass(frozen=True)
class NewCredentials:
    """The values to store. None keeps the stored value."""

    bot_token: str | None
    signing_secret: str | None
    workspace_id: str | None

    def __repr__(self) -> str:
        """Keep secrets out of tracebacks."""
        return "NewCredentials(...)"


def given() -> bool:
    """Return whether the environment contains a credential."""
    return any(os.environ.get(name, "").strip() for name in _VARIABLES)


def collect() -> NewCredentials:
    """Return the credentials from the environment, or else prompt for them without echo.

    Raises:
        OperationError: There is neither a variable nor a terminal, or a value has the wrong format.
    """
    values = [os.environ.get(name, "").strip() for name in _VARIABLES]
    if not any(values):
        if not sys.stdin.isatty():
            raise OperationError(
                f"There are no credentials, so nothing was changed. Set {', '.join(_VARIABLES[:2])} or one of them."
            )
        values = _prompt()
    wanted = (formats.BOT_TOKEN, formats.SIGNING_SECRET, formats.WORKSPACE_ID)
    token, secret, workspace = (_checked(value, expected) for value, expected in zip(values, wanted, strict=True))
    if not (token or secret or workspace):
        raise OperationError("You entered no value, so nothing was changed.")
    return NewCredentials(token, secret, workspace)


def _prompt() -> list[str]:
    print("Press Enter alone to keep a stored value. The token and the secret are not shown.")
    return [
        getpass.getpass("Bot User OAuth Token (xoxb-...): ").strip(),
        getpass.getpass("Signing Secret: ").strip(),
        input("Workspace id (press Enter for the token's workspace): ").strip(),
    ]


def _checked(value: str, wanted: Format) -> str | None:
    if value and not wanted.fits(value):
        raise OperationError(f"The {wanted.name} is invalid. It must be {wanted.looks}. Nothing was changed.")
    return value or None


def authenticate(token: str, base_url: str | None) -> Installation:
    """Verify a token with Slack.

    Args:
        token: The new bot token.
        base_url: Base URL of Slack's API; Slack's own by default.

    Raises:
        OperationError: Slack rejects the token, it lacks a scope, or Slack is not reachable.
    """
    try:
        installation = slack_app.authenticate(token, base_url)
    except TokenRefusedError as error:
        raise OperationError(f"Slack rejected the token ({error.code}). Nothing was changed.") from error
    except SlackUnreachableError as error:
        raise OperationError(f"{error}. The token could not be verified, so nothing was changed.") from error
    missing = installation.missing_scopes()
    if missing:
        raise OperationError(
            f"The token lacks the scopes {', '.join(missing)}. Nothing was changed. Paste the manifest into the app "
            "again (docs/operations.md, Set up), reinstall the app, and use its new token."
        )
    return installation


def revoke(token: str, base_url: str | None) -> bool:
    """Revoke a token. Return False if Slack refused it already.

    Raises:
        OperationError: Slack is not reachable or keeps the token.
    """
    try:
        slack_app.revoke(token, base_url)
    except TokenRefusedError:
        return False
    except SlackUnreachableError as error:
        raise OperationError(
            f"{error}. The stored values are as shown above, but an earlier token still works. Revoke it in the "
            "settings of the Slack app (OAuth & Permissions), or run make rotate REVOKE_PREVIOUS=1 again."
        ) from error
    return True


def channels_of(token: str, base_url: str | None) -> list[str]:
    """Return the names of the app's channels, sorted, or nothing if Slack does not list them."""
    try:
        return slack_app.channel_names(token, base_url)
    except (TokenRefusedError, SlackUnreachableError):
        return []
