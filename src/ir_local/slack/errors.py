"""The error that a Web API method answers with."""

from __future__ import annotations

from ir_local.slack.model import Json


class SlackError(Exception):
    """An `ok: false` answer.

    `error` is Slack's name for it; `fields` are added to the answer (`needed`, `provided`, `response_metadata`...).
    """

    def __init__(self, error: str, **fields: object) -> None:
        """Keep the name and the further fields of the answer."""
        super().__init__(error)
        self.error = error
        self.fields = fields

    def to_json(self) -> Json:
        """The body of the answer."""
        return {"ok": False, "error": self.error, **self.fields}


def invalid_arguments(*messages: str) -> SlackError:
    """The answer to a missing or unusable argument, one message for each."""
    return SlackError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}" for message in messages]}
    )
