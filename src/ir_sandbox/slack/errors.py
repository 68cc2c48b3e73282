"""The error of a failed Web API call."""

from __future__ import annotations

from ir_sandbox.slack.model import Json


class SlackError(Exception):
    """A response with `ok: false`.

    Attributes:
        error: Slack's error code.
        fields: Further fields of the response (`needed`, `provided`, `response_metadata`...).
    """

    def __init__(self, error: str, **fields: object) -> None:
        """Create an error with Slack's code and further fields of the response."""
        super().__init__(error)
        self.error = error
        self.fields = fields

    def to_json(self) -> Json:
        """Return the body of the response."""
        return {"ok": False, "error": self.error, **self.fields}


def invalid_arguments(*messages: str) -> SlackError:
    """Return the error for missing or invalid arguments, with one message for each."""
    return SlackError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}" for message in messages]}
    )
