"""How Slack serves and shares files."""

from __future__ import annotations

from ir_sandbox.slack.quirks.quirk import Quirk

CHECK_FILE_INFO = Quirk(
    "file-stub-of-slack-connect",
    "A message shows a file only with its id and `file_access: check_file_info`; files.info has the rest.",
    "https://docs.slack.dev/reference/objects/file-object",
)
NO_URL_AT_FIRST = Quirk(
    "file-without-url-at-first",
    "For some seconds files.info and messages show a file without URLs and media type.",
    "https://github.com/matrix-org/matrix-appservice-slack/issues/432",
)
UNKNOWN_AT_FIRST = Quirk(
    "file-unknown-at-first",
    "For some seconds files.info answers file_not_found for a file that a message shows.",
    "https://github.com/slackapi/python-slack-sdk/issues/1521",
)
EMPTY_AT_FIRST = Quirk(
    "file-empty-at-first",
    "For some seconds files.info announces size 0.",
    "https://github.com/slackapi/node-slack-sdk/issues/1329",
)
OTHER_SIZE_AT_FIRST = Quirk(
    "file-other-size-at-first",
    "For some seconds files.info announces another size than the download has.",
    "https://github.com/slackapi/node-slack-sdk/issues/1329",
)
NO_MEDIA_TYPE = Quirk(
    "file-without-media-type",
    "While Slack scans a file, its mimetype and filetype are empty.",
    "https://github.com/slackapi/node-slack-sdk/issues/2040",
)
REDIRECT_AT_FIRST = Quirk(
    "download-redirects-at-first",
    "For some seconds a download is redirected to the sign-in page.",
    "https://github.com/42wim/matterbridge/issues/655",
)
PAGE_AT_FIRST = Quirk(
    "download-is-a-page-at-first",
    "For some seconds a download answers 200 with the sign-in page.",
    "https://github.com/42wim/matterbridge/issues/655",
)
MISSING_AT_FIRST = Quirk(
    "download-missing-at-first",
    "For some seconds a download answers 404.",
    "https://github.com/slackapi/python-slack-sdk/issues/1575",
)
TRANSCODED = Quirk(
    "clip-transcoded",
    "Audio and video are served with another length than files.info announces for good.",
    "https://github.com/42wim/matterbridge/issues/656",
)
SHARED_LATE = Quirk(
    "upload-shared-late",
    "files.completeUploadExternal answers at once, and the message with the file appears 20 seconds later.",
    "https://github.com/slackapi/python-slack-sdk/issues/1277",
)
NEVER_SHARED = Quirk(
    "upload-never-shared",
    "The first upload of each file name is completed with `ok: true` and never shared.",
    "https://github.com/slackapi/bolt-js/issues/2115",
)
DELETION_NAMES_CHANNELS = Quirk(
    "file-deletion-names-channels",
    "file_deleted also names the channels of the file, which its reference page does not show.",
    "https://docs.slack.dev/tools/node-slack-sdk/reference/types/interfaces/FileDeletedEvent",
)

QUIRKS: tuple[Quirk, ...] = (
    CHECK_FILE_INFO,
    NO_URL_AT_FIRST,
    UNKNOWN_AT_FIRST,
    EMPTY_AT_FIRST,
    OTHER_SIZE_AT_FIRST,
    NO_MEDIA_TYPE,
    REDIRECT_AT_FIRST,
    PAGE_AT_FIRST,
    MISSING_AT_FIRST,
    TRANSCODED,
    SHARED_LATE,
    NEVER_SHARED,
    DELETION_NAMES_CHANNELS,
)
