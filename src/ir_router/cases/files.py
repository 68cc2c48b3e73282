"""Names of files on the two sides. Pure.

A file name on a case is 1 to 255 of `[a-zA-Z0-9._-]` (botocore's model). The name of an attachment that came from Slack
carries the Slack file's id: the upload call returns no attachment id, so it is recognised by its name.
"""

from __future__ import annotations

import re
import unicodedata

_NAME_LENGTH = 255
_EXTENSION_LENGTH = 20
_OWN_NAME = re.compile(r"-(F[A-Z0-9]{6,})(?:\.[A-Za-z0-9]+)?\Z")


def safe_name(name: str, file_id: str) -> str:
    """`Bericht März.pdf` of file `F0123ABC` as `Bericht_Marz-F0123ABC.pdf`.

    It begins with a letter, a digit or `_`: a name that begins with `-` is an option to many programs.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem, dot, extension = plain.rpartition(".")
    if not dot or not stem:
        stem, extension = plain, ""
    extension = re.sub(r"[^A-Za-z0-9]", "", extension)[:_EXTENSION_LENGTH]
    ending = f"-{file_id}" + (f".{extension}" if extension else "")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-") or "file"
    return stem[: _NAME_LENGTH - len(ending)] + ending


def slack_file_id(attachment_name: str) -> str | None:
    """The Slack file id in the name of an attachment that came from Slack, or None."""
    found = _OWN_NAME.search(attachment_name)
    return found[1] if found else None
