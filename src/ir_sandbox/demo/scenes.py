"""The demo's scenes: single moments of an incident as people see them, each an HTML file for `make pictures`."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path

from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo import page
from ir_sandbox.slack.model import Json, View

FOLDER = Path("build") / "demo" / "scenes"
WIDE, PHONE = 760, 400
"""The widths of pictures in CSS pixels: a little less than the column in which GitHub shows a README, and a phone."""

_STYLE = """
:root{color-scheme:light}body{max-width:none;margin:0;padding:14px;background:#fff}
.mail,.modal{border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}
.mail pre{white-space:pre-wrap;margin:.6rem 0 0}
.modal{max-width:34rem;margin:auto;box-shadow:0 4px 24px #0003}.modal h3{margin:0 0 .6rem}
.modal .input{border:1px solid var(--line);border-radius:4px;padding:.4rem .6rem;margin:.2rem 0 .8rem}
.modal footer{text-align:right}.button{margin:.15rem .4rem .15rem 0}
.terminal{background:#1e1e1e;color:#e6e6e6;border-radius:8px;padding:.8rem 1rem}
.terminal{font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
"""
_MEASURE = "document.documentElement.dataset.height=Math.ceil(document.body.getBoundingClientRect().height)"


class Scenes:
    """Writes scenes of one local cloud to `FOLDER`, each as `<name>.html`."""

    def __init__(self, cloud: LocalCloud) -> None:
        """`cloud` runs."""
        self._slack = cloud.slack

    def request(self, channel_id: str, ts: str) -> None:
        """Write the notice of a new incident as `channel-contained`, its approval request as `approval-request`."""
        notice = next(message for message in self._slack.channel_messages(channel_id) if not message.get("subtype"))
        self._channel("channel-contained", channel_id, [notice["ts"]])
        self.message("approval-request", channel_id, ts)

    def message(self, name: str, channel_id: str, ts: str) -> None:
        """Write one message of a channel."""
        self._channel(name, channel_id, [ts])

    def channel(self, name: str, channel_id: str, text: str) -> None:
        """Write the messages of a channel that contain a text."""
        messages = self._slack.channel_messages(channel_id)
        self._channel(name, channel_id, [one["ts"] for one in messages if text in str(one)])

    def form(self, view: View) -> None:
        """Write the form that asks for the reason of a denial as `deny-form`, as a person sees it before typing."""
        body = view.body
        blocks = "".join(self._form_block(block) for block in body["blocks"])
        labels = [str((body.get(key) or {}).get("text", "")) for key in ("close", "submit")]
        buttons = "".join(f'<span class="button">{html.escape(label)}</span>' for label in labels if label)
        title = html.escape(body["title"]["text"])
        _write("deny-form", f'<div class="modal"><h3>{title}</h3>{blocks}<footer>{buttons}</footer></div>')

    def decision(self, payload: Json, answer: Json) -> None:
        """Write a decision on the command line, with the answer to it, as `decision-command`."""
        shown = json.dumps({**payload, "task_token": "TOKEN_FROM_SQS"})
        command = (
            "aws lambda invoke --function-name security-incident-approval-handler \\\n"
            f"    --cli-binary-format raw-in-base64-out --payload '{shown}' response.json"
        )
        text = html.escape(f"$ {command}\n$ cat response.json\n{json.dumps(answer, indent=2)}")
        _write("decision-command", f'<div class="terminal">{text}</div>', WIDE)

    def mails(self, mails: Sequence[Json]) -> None:
        """Write the first and the last e-mail about an incident as `alert-mail` and `report-mail`.

        `mails` are SNS notifications, at least one, oldest first.
        """
        for name, mail in (("alert-mail", mails[0]), ("report-mail", mails[-1])):
            subject, text = html.escape(mail["Subject"]), html.escape(mail["Message"])
            _write(name, f'<div class="mail"><b>{subject}</b><pre class="text">{text}</pre></div>')

    def path(self, execution: Json) -> None:
        """Write the path of an execution through the workflow's diagram as `workflow-approved`."""
        _write("workflow-approved", page.drawing(execution), WIDE)

    def _channel(self, name: str, channel_id: str, shown: Sequence[str]) -> None:
        channel = self._slack.store.channels[channel_id]
        topic = str(channel.topic.get("value", ""))
        messages = [message for message in self._slack.channel_messages(channel_id) if message["ts"] in shown]
        _write(name, page.channel(channel.name, topic, messages, self._names()))

    def _form_block(self, block: Json) -> str:
        if block.get("type") != "input":
            return page.block(block, self._names())
        placeholder = (block.get("element") or {}).get("placeholder") or {}
        hint = html.escape(str(placeholder.get("text", ""))) or "&nbsp;"
        label, below = html.escape(block["label"]["text"]), html.escape(str((block.get("hint") or {}).get("text", "")))
        return f'<b>{label}</b><div class="input muted">{hint}</div><div class="context">{below}</div>'

    def _names(self) -> dict[str, str]:
        channels = {channel.id: channel.name for channel in self._slack.store.channels.values()}
        return channels | {user.id: user.real_name for user in self._slack.store.users.values()}


def _write(name: str, content: str, width: int = PHONE) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = (
        f'<!doctype html><html lang="en" data-width="{width}"><head><meta charset="utf-8"><title>{name}</title>'
        # A browser may refuse so narrow a window, and would then measure another height.
        f"<style>{page.STYLE}{_STYLE}html{{width:{width}px}}</style></head>"
        f"<body>{content}<script>{_MEASURE}</script></body></html>\n"
    )
    (FOLDER / f"{name}.html").write_text(document, encoding="utf-8")
