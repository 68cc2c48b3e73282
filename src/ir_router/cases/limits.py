"""The limits of AWS Security Incident Response, from botocore's model of `security-ir` 2018-05-10.

Separate from the models, so that the webhook function can check forms without loading pydantic.
"""

from __future__ import annotations

TITLE_LIMIT = 300
DESCRIPTION_LIMIT = 8_000
COMMENT_LIMIT = 12_000
WATCHER_LIMIT = 30
ACCOUNT_LIMIT = 200
ATTACHMENT_LIMIT = 50
FILE_SIZE_LIMIT = 104_857_600
