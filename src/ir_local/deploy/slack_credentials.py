"""The new Slack credentials: asked for, checked for their looks, and the token tried, before anything is written."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass

from ir_local.deploy.errors import OperationError
from ir_router.ops import formats, slack_app
from ir_router.ops.formats import Format
from ir_router.ops.slack_app import Installation, SlackSilentError, TokenRefusedError

_VARIABLES = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_WORKSPACE_ID")


@dataclass(frozen=True)
class NewCredentials:
    """What is to be stored; None keeps what is stored now. Its repr tells nothing."""

    bot_token: str | None
    signing_secret: str | None
    workspace_id: str | None

    def __repr__(self) -> str:
        """Secrets stand in no traceback."""
        return "NewCredentials(...)"


def ask() -> NewCredentials:
    """From the environment if any of the three is there, else from the terminal, unseen.

    Raises OperationError when there is neither, or when something does not look like what it should be.
    """
    given = [os.environ.get(name, "").strip() for name in _VARIABLES]
    if not any(given):
        if not sys.stdin.isatty():
            raise OperationError(f"Set {', '.join(_VARIABLES[:2])} (or one of them), or run this at a terminal.")
        given = _prompt()
    wanted = (formats.BOT_TOKEN, formats.SIGNING_SECRET, formats.WORKSPACE_ID)
    token, secret, workspace = (_checked(value, looks) for value, looks in zip(given, wanted, strict=True))
    if not (token or secret or workspace):
        raise OperationError("Nothing was given, so nothing was changed.")
    return NewCredentials(token, secret, workspace)


def _prompt() -> list[str]:
    print("Enter alone keeps what is stored. Token and secret are not shown.")
    return [
        getpass.getpass("Bot User OAuth Token (xoxb-...): ").strip(),
        getpass.getpass("Signing Secret: ").strip(),
        input("Workspace id (Enter: that of the token): ").strip(),
    ]


def _checked(value: str, wanted: Format) -> str | None:
    if value and not wanted.fits(value):
        raise OperationError(f"That is no {wanted.name}: it must be {wanted.looks}. Nothing was changed.")
    return value or None


def authenticate(token: str, base_url: str | None) -> Installation:
    """Try the token with Slack. Raises OperationError unless it works and has every scope that is used."""
    try:
        installation = slack_app.authenticate(token, base_url)
    except TokenRefusedError as error:
        raise OperationError(f"Slack refuses the token ({error.code}). Nothing was changed.") from error
    except SlackSilentError as error:
        raise OperationError(f"{error}. The token could not be tried, so nothing was changed.") from error
    missing = installation.missing_scopes()
    if missing:
        raise OperationError(
            f"The token lacks the scopes {', '.join(missing)}. Paste the manifest again (docs/operations.md, "
            "Set up, 3), reinstall the app and give the token that it then shows. Nothing was changed."
        )
    return installation
