"""Files in Slack and on a case: their names, and the facts in a Slack file object. Pure.

A file name on a case has 1 to 255 characters of `[a-zA-Z0-9._-]` (botocore's model). The name of an attachment from
Slack contains the Slack file's id: the upload call returns no attachment id, so ir-router recognises it by its name.
File objects: https://docs.slack.dev/reference/objects/file-object
"""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

_NAME_LENGTH = 255
_EXTENSION_LENGTH = 20
_OWN_NAME = re.compile(r"-(F[A-Z0-9]{6,})(?:\.[A-Za-z0-9]+)?\Z")
_UNKNOWN_MEDIA_TYPE = "application/octet-stream"
# Documents that exist only in Slack. Their download is a rendering with no stable length, or there is none.
_DOCUMENTS = {
    "quip": "canvas",
    "canvas": "canvas",
    "space": "post",
    "post": "post",
    "docs": "post",
    "list": "list",
}
_SLACK_MEDIA_TYPE = "application/vnd.slack-"
_WEB_PAGES = (".html", ".htm", ".xhtml", ".shtml", ".mht", ".mhtml", ".eml", ".email")


def safe_name(name: str, file_id: str, media_type: str = "") -> str:
    """Return the attachment name of a Slack file, for example `Bericht_Marz-F0123ABC.pdf` for `Bericht März.pdf`.

    The name never begins with `-`, which many programs would read as an option. A name in another script keeps its
    extension: `報告書.pdf` becomes `file-F0123ABC.pdf`.

    Args:
        name: The name in Slack.
        file_id: The Slack file's id.
        media_type: Determines the extension if the name has none that a case accepts.
    """
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem.strip():
        stem, extension = name, ""
    extension = re.sub(r"[^A-Za-z0-9]", "", _ascii(extension))[:_EXTENSION_LENGTH] or _usual_extension(media_type)
    ending = f"-{file_id}" + (f".{extension}" if extension else "")
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", _ascii(stem)).strip("._-") or "file"
    return stem[: _NAME_LENGTH - len(ending)] + ending


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _usual_extension(media_type: str) -> str:
    if media_type == _UNKNOWN_MEDIA_TYPE:
        return ""
    return (mimetypes.guess_extension(media_type) or "").lstrip(".")


def attachment_name(file: Mapping[str, Any]) -> str:
    """Return the attachment name of a Slack file object.

    The media type gives a snippet without a name its extension. An uploaded file keeps the name that its owner chose.
    """
    chosen = any(character.isalnum() for character in str(file.get("name") or ""))
    media_type = "" if chosen and file.get("mode") == "hosted" and _is_ascii_name(file) else file.get("mimetype")
    return safe_name(shown_name(file), str(file["id"]), str(media_type or ""))


def _is_ascii_name(file: Mapping[str, Any]) -> bool:
    return str(file.get("name")).isascii()


def shown_name(file: Mapping[str, Any]) -> str:
    """Return the name of a Slack file for readers: its name, else its title, else `file <id>`.

    The name of a snippet can be `-`; a stub has neither name nor title.
    """
    for name in (file.get("name"), file.get("title")):
        if isinstance(name, str) and any(character.isalnum() for character in name):
            return name
    return f"file {file.get('id') or ''}".strip()


def slack_file_id(attachment_name: str) -> str | None:
    """Return the Slack file id in the name of an attachment from Slack, or None."""
    found = _OWN_NAME.search(attachment_name)
    return found[1] if found else None


def document_kind(file: Mapping[str, Any]) -> str | None:
    """Return `canvas`, `post`, `list` or `document` if the file exists only inside Slack, else None."""
    mode = str(file.get("mode") or "")
    if mode in _DOCUMENTS:
        return _DOCUMENTS[mode]
    if str(file.get("mimetype") or "").startswith(_SLACK_MEDIA_TYPE):
        return _DOCUMENTS.get(str(file.get("filetype") or ""), "document")
    return None


def is_external(file: Mapping[str, Any]) -> bool:
    """Whether the file is a link to another service, such as Google Drive. Slack does not have its content."""
    return file.get("mode") == "external" or (file.get("is_external") is True and not download_url(file))


def is_deleted(file: Mapping[str, Any]) -> bool:
    """Whether Slack shows the file as deleted."""
    return file.get("mode") == "tombstone"


def is_gone(file: Mapping[str, Any]) -> bool:
    """Whether Slack shows the file as deleted, or as hidden by the limit of a free plan."""
    return is_deleted(file) or file.get("mode") == "hidden_by_limit"


def download_url(file: Mapping[str, Any]) -> str:
    """Return the URL of the file's content; empty if Slack does not name one, for example for a stub."""
    return str(file.get("url_private_download") or file.get("url_private") or "")


def link(file: Mapping[str, Any]) -> str:
    """Return a link to the file for readers; empty without one."""
    url = file.get("external_url") if is_external(file) else None
    return str(url or file.get("permalink") or "")


def is_web_page(file: Mapping[str, Any]) -> bool:
    """Whether the content itself is HTML, so that an answer in HTML is no sign of a refused download."""
    media_type, name = str(file.get("mimetype") or ""), str(file.get("name") or "").lower()
    return (
        media_type.startswith(("text/html", "application/xhtml", "multipart/related", "message/"))
        or name.endswith(_WEB_PAGES)
        or str(file.get("filetype") or "") in ("html", "email")
        or file.get("mode") == "email"
    )


def channels(file: Mapping[str, Any]) -> set[str]:
    """Return the ids of the channels in which files.info shows the file."""
    found: set[str] = set()
    for name in ("channels", "groups", "ims"):
        found |= {channel for channel in file.get(name) or [] if isinstance(channel, str)}
    shares = file.get("shares")
    for kind in shares.values() if isinstance(shares, Mapping) else ():
        found |= set(kind) if isinstance(kind, Mapping) else set()
    return found


def files_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the file objects of a message, those of forwarded messages inside it included, each id once."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in _files_in(message, depth=0):
        file_id = file.get("id")
        if isinstance(file_id, str) and file_id:
            found.setdefault(file_id, file)
    return list(found.values())


def _files_in(message: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    yield from _objects(message.get("files"))
    if depth > 3:
        return
    for attachment in _objects(message.get("attachments")):
        yield from _files_in(attachment, depth + 1)
        for quoted in _objects(attachment.get("message_blocks")):
            inner = quoted.get("message")
            if isinstance(inner, Mapping):
                yield from _files_in(inner, depth + 1)


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, Mapping))
