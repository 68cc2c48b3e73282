"""Files of the local Slack: the external upload flow, shares, downloads, deletion."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from slack_sdk import WebClient

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import error_of

MEBIBYTE = 1024 * 1024


def fetch(url: str, token: str | None) -> tuple[str, bytes]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=120) as response:
        assert response.status == 200
        return response.headers["Content-Type"], response.read()


def send(url: str, body: bytes | Iterator[bytes], length: int, content_type: str = "application/octet-stream"):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    connection.request("POST", parts.path, body, {"Content-Type": content_type, "Content-Length": str(length)})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def shares(client: WebClient, file_id: str) -> Json:
    found: Json = client.files_info(file=file_id)["file"]["shares"]
    return found


# Uploading


def test_fact_upload_in_three_steps(slack, client, channel):
    """PLATFORM_FACTS: upload: files.getUploadURLExternal, POST the bytes, files.completeUploadExternal."""
    begun = client.files_getUploadURLExternal(filename="report.txt", length=5)
    assert begun["upload_url"].startswith(slack.url)
    assert send(begun["upload_url"], b"hello", 5) == (200, b"OK - 5")

    completed = client.files_completeUploadExternal(
        files=[{"id": begun["file_id"], "title": "The report"}], channel_id=channel, initial_comment="New attachment"
    )

    (file,) = completed["files"]
    assert (file["id"], file["title"], file["size"], file["mimetype"]) == (
        begun["file_id"],
        "The report",
        5,
        "text/plain",
    )
    message = client.conversations_history(channel=channel)["messages"][0]
    assert (message["subtype"], message["text"], message["bot_id"]) == (
        "file_share",
        "New attachment",
        slack.app.bot_id,
    )
    assert [entry["id"] for entry in message["files"]] == [begun["file_id"]]
    assert shares(client, begun["file_id"])["private"][channel][0]["ts"] == message["ts"]
    assert fetch(file["url_private_download"], slack.app.token) == ("text/plain", b"hello")


def test_given_the_sdks_upload_when_used_then_it_works_unchanged(client, channel):
    parent = client.chat_postMessage(channel=channel, text="parent")["ts"]
    answer = client.files_upload_v2(channel=channel, filename="a.bin", content=b"x" * 100, thread_ts=parent)

    assert answer["file"]["size"] == 100
    thread = client.conversations_replies(channel=channel, ts=parent)["messages"]
    assert thread[1]["files"][0]["name"] == "a.bin"


def test_given_5_mb_in_pieces_when_posted_then_streamed_to_disk_and_back(slack, client, channel):
    size = 5 * MEBIBYTE
    begun = client.files_getUploadURLExternal(filename="big.bin", length=size)

    assert send(begun["upload_url"], (b"%7d|" % number * 8192 for number in range(80)), size) == (
        200,
        b"OK - %d" % size,
    )
    client.files_completeUploadExternal(files=[{"id": begun["file_id"]}], channel_id=channel)

    url = client.files_info(file=begun["file_id"])["file"]["url_private_download"]
    content_type, content = fetch(url, slack.app.token)
    assert content_type == "application/octet-stream"
    assert content == b"".join(b"%7d|" % number * 8192 for number in range(80))


def test_given_a_multipart_form_when_posted_then_its_file_is_taken(client, slack, channel):
    begun = client.files_getUploadURLExternal(filename="a.txt", length=3)
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabc\r\n--b--\r\n'
    assert send(begun["upload_url"], body, len(body), "multipart/form-data; boundary=b") == (200, b"OK - 3")


def test_given_wrong_steps_when_uploading_then_refused(slack, client, channel):
    assert error_of(client.files_getUploadURLExternal, filename="a", length=0)["error"] == "missing_argument"
    too_large = error_of(client.files_getUploadURLExternal, filename="a", length=1024**3 + 1)
    assert too_large["error"] == "file_upload_size_restricted"
    assert error_of(client.api_call, api_method="files.getUploadURLExternal")["error"] == "invalid_arguments"
    assert send(f"{slack.url}/upload/v1/unknown", b"x", 1)[0] == 404

    begun = client.files_getUploadURLExternal(filename="a", length=1)
    not_uploaded = {"files": [{"id": begun["file_id"]}], "channel_id": channel}
    assert error_of(client.files_completeUploadExternal, **not_uploaded)["error"] == "file_not_found"
    assert error_of(client.files_completeUploadExternal, files=[])["error"] == "invalid_arguments"
    send(begun["upload_url"], b"x", 1)
    for target, error in [
        ("C404", "channel_not_found"),
        (slack.workspace.create_user("j").create_channel("p"), "not_in_channel"),
    ]:
        refused = {"files": [{"id": begun["file_id"]}], "channel_id": target}
        assert error_of(client.files_completeUploadExternal, **refused)["error"] == error
    client.files_completeUploadExternal(**not_uploaded)
    assert error_of(client.files_completeUploadExternal, **not_uploaded)["error"] == "file_not_found"


def test_given_several_files_and_channels_when_completed_then_one_message_a_channel(client, channel):
    other = client.conversations_create(name="other")["channel"]["id"]
    uploads = [client.files_getUploadURLExternal(filename=name, length=1) for name in ("a", "b")]
    for upload in uploads:
        send(upload["upload_url"], b"x", 1)

    client.files_completeUploadExternal(
        files=[{"id": upload["file_id"]} for upload in uploads], channels=[channel, other]
    )

    for each in (channel, other):
        message = client.conversations_history(channel=each)["messages"][0]
        assert [file["name"] for file in message["files"]] == ["a", "b"]
    assert set(shares(client, uploads[0]["file_id"])) == {"public", "private"}


def test_given_no_channel_when_completed_then_private_to_the_app(slack, client):
    begun = client.files_getUploadURLExternal(filename="a", length=1)
    send(begun["upload_url"], b"x", 1)
    client.files_completeUploadExternal(files=[{"id": begun["file_id"]}])

    assert shares(client, begun["file_id"]) == {}
    other = slack.client(slack.workspace.create_app("other", commands=[]).token)
    assert error_of(other.files_info, file=begun["file_id"])["error"] == "file_not_found"


def test_given_slow_sharing_when_completed_then_shares_appear_later(slack, client, channel):
    """files.completeUploadExternal shares asynchronously (maintainers in slackapi/bolt-js issue 2115)."""
    slack.workspace.configure(share_delay_seconds=5)
    file_id = client.files_upload_v2(channel=channel, filename="a", content=b"x")["file"]["id"]
    assert shares(client, file_id) == {}
    slack.clock.advance(5)
    assert channel in shares(client, file_id)["private"]


# People's files


def test_given_a_person_who_uploads_when_read_then_a_file_share_with_text(slack, client, channel, jane):
    file_id, ts = jane.upload(channel, "mal ware (1).exe", b"MZ", text="look <here>")

    message = client.conversations_history(channel=channel)["messages"][0]
    assert (message["ts"], message["subtype"], message["user"]) == (ts, "file_share", jane.id)
    assert message["text"] == "look &lt;here&gt;"
    (file,) = message["files"]
    assert (file["id"], file["name"], file["size"], file["user"]) == (file_id, "mal ware (1).exe", 2, jane.id)
    assert "bot_id" not in message


def test_fact_html_instead_of_the_file_means_the_token_was_refused(slack, client, channel, jane):
    """PLATFORM_FACTS: `url_private_download` with the bot token as Bearer; HTML means the token was refused."""
    file_id, _ = jane.upload(channel, "a.txt", b"secret")
    url = client.files_info(file=file_id)["file"]["url_private_download"]

    assert fetch(url, slack.app.token)[1] == b"secret"
    for token in (None, "xoxb-1-1-wrong"):
        content_type, body = fetch(url, token)
        assert content_type.startswith("text/html")
        assert b"secret" not in body
    slack.app.scopes.discard("files:read")
    assert fetch(url, slack.app.token)[0].startswith("text/html")
    slack.app.scopes.add("files:read")
    slack.workspace.revoke_token(slack.app.token)
    assert fetch(url, slack.app.token)[0].startswith("text/html")


def test_fact_check_file_info_asks_for_files_info(slack, client, channel, jane):
    """PLATFORM_FACTS: `file_access: check_file_info` (Slack Connect): ask files.info."""
    slack.workspace.configure(check_file_info=True)
    file_id, _ = jane.upload(channel, "a.txt", b"x")

    (file,) = client.conversations_history(channel=channel)["messages"][0]["files"]
    assert (file["id"], file["file_access"]) == (file_id, "check_file_info")
    assert "url_private_download" not in file
    assert client.files_info(file=file_id)["file"]["name"] == "a.txt"


@pytest.mark.parametrize(
    ("quirk", "at_first"),
    [
        ("file-without-url-at-first", lambda file: "url_private_download" not in file and file["mimetype"] == ""),
        ("file-empty-at-first", lambda file: file["size"] == 0),
        ("file-other-size-at-first", lambda file: file["size"] > 5),
        ("file-without-media-type", lambda file: file["mimetype"] == ""),
    ],
)
def test_given_a_quirk_of_new_files_when_asked_then_files_info_is_complete_only_later(
    slack, client, channel, jane, quirk, at_first
):
    slack.workspace.store.quirks.turn_on([quirk])
    file_id, _ = jane.upload(channel, "a.txt", b"12345")

    assert at_first(client.files_info(file=file_id)["file"])
    slack.clock.advance(61)
    file = client.files_info(file=file_id)["file"]
    assert (file["size"], file["mimetype"]) == (5, "text/plain")
    assert fetch(file["url_private_download"], slack.app.token)[1] == b"12345"


def test_given_the_quirk_of_an_unknown_file_when_asked_then_it_is_found_only_later(slack, client, channel, jane):
    slack.workspace.store.quirks.turn_on(["file-unknown-at-first"])
    file_id, _ = jane.upload(channel, "a.txt", b"x")

    assert error_of(client.files_info, file=file_id)["error"] == "file_not_found"
    slack.clock.advance(5)
    assert client.files_info(file=file_id)["file"]["name"] == "a.txt"


@pytest.mark.parametrize("quirk", ["download-is-a-page-at-first", "download-redirects-at-first"])
def test_given_a_quirk_of_downloads_when_fetched_then_the_content_comes_only_later(slack, client, channel, jane, quirk):
    slack.workspace.store.quirks.turn_on([quirk])
    file_id, _ = jane.upload(channel, "a.txt", b"secret")
    file = slack.workspace.store.files[file_id]

    assert slack.workspace.files.answer_at_first(file) == (200 if "page" in quirk else 302)
    slack.clock.advance(5)
    url = client.files_info(file=file_id)["file"]["url_private_download"]
    assert fetch(url, slack.app.token)[1] == b"secret"


def test_given_the_quirks_of_sharing_when_completed_then_a_share_is_late_or_missing(slack, client, channel):
    slack.workspace.store.quirks.turn_on(["upload-never-shared", "upload-shared-late"])
    first, second = (
        client.files_upload_v2(channel=channel, filename="a", content=b"x")["file"]["id"] for _ in range(2)
    )
    slack.clock.advance(19)
    assert shares(client, second) == {}
    slack.clock.advance(1)
    assert channel in shares(client, second)["private"]
    assert shares(client, first) == {}


def test_given_a_document_of_slack_when_shared_then_its_page_has_another_length(slack, client, channel, jane):
    file_id, _ = jane.share_document(channel, "canvas", "Incident notes")

    file = client.files_info(file=file_id)["file"]
    assert (file["mode"], file["title"]) == ("quip", "Incident notes")
    content_type, body = fetch(file["url_private_download"], slack.app.token)
    assert content_type.startswith("application/vnd.slack-docs")
    assert len(body) != file["size"]


def test_given_a_file_in_a_private_channel_without_the_bot_when_asked_then_not_found(slack, client):
    john = slack.workspace.create_user("john")
    hidden = john.create_channel("hidden", is_private=True)
    shown = john.create_channel("shown")
    file_id, _ = john.upload(hidden, "a", b"x")

    assert error_of(client.files_info, file=file_id)["error"] == "file_not_found"
    john.share_again(shown, file_id, "here too")
    assert set(shares(client, file_id)) == {"public", "private"}


def test_given_files_when_listed_then_newest_first_by_page_and_channel(client, slack, channel, jane):
    other = client.conversations_create(name="other")["channel"]["id"]
    ids = [jane.upload(channel, f"{number}.txt", b"x")[0] for number in range(5)]
    mine = client.files_upload_v2(channel=other, filename="mine", content=b"x")["file"]["id"]

    first = client.files_list(channel=channel, count=2)
    assert [file["id"] for file in first["files"]] == ids[:-3:-1]
    assert first["paging"] == {"count": 2, "total": 5, "page": 1, "pages": 3}
    assert [file["id"] for file in client.files_list(channel=channel, count=2, page=3)["files"]] == ids[:1]
    assert [file["id"] for file in client.files_list(user=slack.app.bot_user_id)["files"]] == [mine]


def test_given_a_deleted_file_when_asked_then_file_deleted_and_a_tombstone_in_its_message(client, channel, jane):
    file_id, _ = jane.upload(channel, "a", b"x")
    mine = client.files_upload_v2(channel=channel, filename="mine", content=b"x")["file"]["id"]

    assert error_of(client.files_delete, file=file_id)["error"] == "cant_delete_file"
    client.files_delete(file=mine)
    jane.delete_file(file_id)

    for each in (file_id, mine):
        assert error_of(client.files_info, file=each)["error"] == "file_deleted"
    messages = client.conversations_history(channel=channel)["messages"][:2]
    assert [message["files"][0]["mode"] for message in messages] == ["tombstone", "tombstone"]


def test_given_a_closed_workspace_when_files_were_kept_then_their_folder_is_gone(slack, channel, jane):
    jane.upload(channel, "a", b"x")
    folder = slack.workspace.store.folder()
    assert any(folder.iterdir())
    slack.workspace.close()
    assert not folder.exists()
