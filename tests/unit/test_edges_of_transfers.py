"""Secondary facts of transfers: checksums, signed headers, the age of secrets, retried changes, texts for SQS."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from ir_router import aws, clock, json_text, tls, transfer
from ir_router.ops import credentials
from ir_router.transfer import Download, signed_headers
from ir_router.workflow import changes

NOW = 1_768_500_000.0
DAY = 86_400


def download(content: bytes, **headers: str) -> Download:
    response = urllib3.HTTPResponse(body=io.BytesIO(content), headers=headers, preload_content=False)
    return Download("Slack", response)


def test_given_a_download_when_read_then_its_digest_is_that_of_its_bytes() -> None:
    content = b"evidence" * 20_000
    source = download(content)

    assert source.sha256 == hashlib.sha256(b"").hexdigest()
    assert b"".join(iter(source.read, b"")) == content
    assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_given_a_signed_header_with_an_empty_value_when_uploaded_then_it_is_sent_empty() -> None:
    url = "https://bucket.example/key?X-Amz-SignedHeaders=host%3Bx-amz-meta-note&X-Amz-Meta-Note="

    with signed_headers("AWS", url, download(b"x")) as headers:
        assert headers == {"x-amz-meta-note": ""}


def test_given_two_secrets_when_verified_then_the_older_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)

    def secret(name: str, days: float) -> credentials.Parameter:
        return credentials.Parameter(name, "x", 1, datetime.fromtimestamp(NOW - days * DAY, UTC))

    (old,) = credentials._age([secret("new", 1), secret("old", 90.5), secret("newer", 0)])
    (fine,) = credentials._age([secret("new", 1), secret("old", 90)])

    assert (old.state, fine.state) == ("warning", "ok")
    assert old.detail == "old is 90 days old; rotate it every 90 days"
    assert list(credentials._age([])) == []


@pytest.mark.parametrize("text", ["a\ufffe", "b\uffff", "c\ud800", "d😀 ü"])
def test_given_characters_that_sqs_rejects_when_written_then_each_is_escaped_and_the_text_stays(text: str) -> None:
    written = json_text.for_queue({"text": text})

    assert json.loads(written) == {"text": text}
    written.encode("utf-8")
    assert not set("\ufffe\uffff\ud800") & set(written)
    assert ("\\u" in written) is not text.startswith("d")


def test_given_a_change_that_iam_rejects_in_another_way_later_when_made_then_the_last_reason_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(clock, "now", lambda: passed[0])
    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr(changes, "_read_for", lambda *_: (changes.State({}, denied=False), None))
    codes = ["Throttling", "ServiceFailure", "LimitExceeded"]

    def rejected() -> None:
        answer: Any = {"Error": {"Code": codes.pop(0)}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(answer, "AttachUserPolicy")

    codes[1] = "ConcurrentModification"
    change = changes.Change(changes.DENY, "", rejected, lambda state: state.denied)
    principal: Any = {"kind": "user", "name": "x", "arn": "arn:x", "account": "1"}
    with pytest.raises(changes.ChangeRefusedError) as failed:
        changes.make(principal, [change], until=30)

    assert codes == []
    assert [one.get("error") for one in failed.value.actions] == ["LimitExceeded"]
    assert str(failed.value).startswith("IAM allows 10 attached policies")


def test_given_transfers_when_they_connect_then_certificates_are_required_and_nothing_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(urllib3, "PoolManager", dict)
    transfer._pool.cache_clear()

    made: Any = transfer._pool()

    transfer._pool.cache_clear()
    timeout = made.pop("timeout")
    assert (timeout.connect_timeout, timeout.read_timeout) == (5, 60)
    assert made == {
        "retries": False,
        "ssl_context": tls.context(),
        "cert_reqs": "CERT_REQUIRED",
        "ca_certs": aws.ca_bundle(),
    }
