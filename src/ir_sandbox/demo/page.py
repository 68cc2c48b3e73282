"""The demo's page: the channels as users see them, and the executions' paths through the diagram."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ir_sandbox.demo import diagram
from ir_sandbox.demo.report import Check
from ir_sandbox.slack.model import Json

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--ok:#1a7f4b;--bad:#c0262d;--accent:#1264a3}
*{box-sizing:border-box}body{font:15px/1.5 Lato,system-ui,sans-serif;margin:0 auto;max-width:68rem;padding:1.5rem}
h1{margin:.2rem 0}h2{margin:2.2rem 0 .6rem}p{max-width:44rem}.muted{opacity:.7}
.channel{border:1px solid var(--line);border-radius:8px;overflow:hidden}
.channel>header{padding:.7rem 1rem;border-bottom:1px solid var(--line);background:var(--soft)}
.message{display:grid;grid-template-columns:2.4rem 1fr;gap:.7rem;padding:.5rem 1rem}
.face{width:2.2rem;height:2.2rem;border-radius:6px;background:var(--accent);color:#fff;display:grid;place-items:center}
.bot .face{background:#444}.who{font-weight:700}.when{opacity:.65;font-size:.82rem;margin-left:.4rem}
.header{font-weight:800;font-size:1.08rem}.fields{display:grid;grid-template-columns:1fr 1fr;gap:.2rem 1rem}
.context{opacity:.75;font-size:.86rem}.only{border-left:3px solid var(--accent);padding-left:.6rem}
.button{display:inline-block;border:1px solid var(--line);border-radius:4px;padding:.15rem .7rem;margin-right:.4rem}
.primary{background:#007a5a;border-color:#007a5a;color:#fff}.danger{background:#e01e5a;border-color:#e01e5a;color:#fff}
.file{border:1px solid var(--line);border-radius:6px;padding:.4rem .7rem;display:inline-block;margin-top:.2rem}
.text{white-space:pre-wrap;overflow-wrap:anywhere}.text a,.context a{color:var(--accent)}
.text pre{white-space:pre-wrap;background:var(--soft);border-radius:4px}
.text pre{padding:.3rem .5rem;font-size:.8rem;margin:.2rem 0}
.diagram{width:100%;height:auto;margin:.4rem 0 1.2rem}.diagram path{fill:none}
.diagram text{font-size:11px;text-anchor:middle;dominant-baseline:central}
.way,.box rect{stroke:var(--line)}.box rect{fill:Canvas}.box text{fill:currentColor;opacity:.6}
.way.taken{stroke:var(--accent);stroke-width:2.5}.entered rect{fill:var(--accent);stroke:var(--accent)}
.entered text{fill:#fff;opacity:1;font-weight:600}
.entered.succeed rect{fill:var(--ok)}.entered.fail rect{fill:var(--bad)}
summary{cursor:pointer}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line)}
td:last-child{text-align:right;font-variant-numeric:tabular-nums}
.ok{color:var(--ok)}.bad{color:var(--bad);font-weight:700}
@media(max-width:40rem){.fields{grid-template-columns:1fr}}
"""


def render(
    checks: Sequence[Check],
    channels: Sequence[tuple[str, str, Sequence[Json]]],
    ephemerals: Sequence[Json],
    executions: Sequence[Json],
    names: Mapping[str, str],
) -> str:
    """Return the page as HTML.

    Args:
        checks: The demo's checks.
        channels: The name, topic and messages of each channel.
        ephemerals: The ephemeral messages.
        executions: The `name`, `status` and entered `states` of each execution.
        names: Users' names by their ids.
    """
    failed = sum(not check.ok for check in checks)
    verdict = f"{len(checks) - failed} of {len(checks)} checks passed"
    shown = "<br>\n".join(channel(name, topic, messages, names) for name, topic, messages in channels)
    answers = "\n".join(_message(message, names, only=True) for message in ephemerals)
    paths = "\n".join(_execution(execution) for execution in executions)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ir-router: the demo</title><style>{STYLE}</style></head><body>
<h1>ir-router: the demo</h1>
<p class="{"bad" if failed else "ok"}">{verdict}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC</p>
<p class="muted">The deployed zip ran on the local cloud. This page shows data from the Slack workspace, the case, IAM
and the execution history.</p>
<h2>Channels</h2>{shown}
<h2>Responses that only Jane sees</h2><div class="channel">{answers}</div>
<h2>Paths of the executions</h2>{paths}
<h2>Checks</h2><table><tr><th></th><th>Check</th><th>Seconds</th></tr>{"".join(map(_check, checks))}</table>
</body></html>
"""


def _check(check: Check) -> str:
    mark = '<td class="ok">ok</td>' if check.ok else '<td class="bad">FAILED</td>'
    detail = f'<br><span class="muted">{html.escape(check.detail)}</span>' if check.detail else ""
    part = f'<span class="muted">{html.escape(check.part)}:</span>'
    return f"<tr>{mark}<td>{part} {html.escape(check.name)}{detail}</td><td>{check.seconds:.2f}</td></tr>"


def channel(name: str, topic: str, messages: Sequence[Json], names: Mapping[str, str]) -> str:
    """Return a channel with the given messages; `names` maps user ids to names."""
    body = "\n".join(_message(message, names) for message in messages)
    return (
        f'<section class="channel"><header><b># {html.escape(name)}</b><br>'
        f'<span class="muted">{_text(topic, names)}</span></header>{body}</section>'
    )


def _message(message: Json, names: Mapping[str, str], *, only: bool = False) -> str:
    user = str(message.get("user") or message.get("bot_id") or "")
    name = names.get(user, "ir-router")
    when = datetime.fromtimestamp(float(message.get("ts") or 0), UTC)
    kind = "bot" if message.get("bot_id") or only else ""
    blocks = [block(item, names) for item in message.get("blocks") or []]
    content = "\n".join(blocks) or f'<div class="text">{_text(str(message.get("text", "")), names)}</div>'
    files = "".join(
        f'<div class="file">📄 {html.escape(str(file.get("name") or file.get("id")))}</div>'
        for file in message.get("files") or []
    )
    return (
        f'<div class="message {kind}"><div class="face">{html.escape(name[:1].upper())}</div>'
        f'<div class="{"only" if only else ""}"><span class="who">{html.escape(name)}</span>'
        f'<span class="when">{when:%H:%M:%S}</span>{content}{files}</div></div>'
    )


def block(block: Json, names: Mapping[str, str]) -> str:
    """Return one block of Block Kit as HTML; blocks that the system does not send become nothing."""
    kind = block.get("type")
    if kind == "header":
        return f'<div class="header">{html.escape(block["text"]["text"])}</div>'
    if kind == "section":
        text = f'<div class="text">{_text(block["text"]["text"], names)}</div>' if "text" in block else ""
        fields = "".join(f"<div class='text'>{_text(item['text'], names)}</div>" for item in block.get("fields") or [])
        return text + (f'<div class="fields">{fields}</div>' if fields else "")
    if kind == "rich_text":
        found = [part for section in block["elements"] for part in section.get("elements") or []]
        return f'<div class="text">{"".join(_rich(part, names) for part in found)}</div>'
    if kind == "context":
        parts = " ".join(_text(str(item.get("text", "")), names) for item in block["elements"])
        return f'<div class="context">{parts}</div>'
    if kind == "actions":
        return "".join(_button(item) for item in block["elements"])
    return "<hr>" if kind == "divider" else ""


def _rich(part: Json, names: Mapping[str, str]) -> str:
    """Return an element of a rich text; those that neither users nor the system send become nothing."""
    text = html.escape(str(part.get("text", "")))
    if part.get("type") == "link":
        return f'<a href="{html.escape(part["url"], quote=True)}">{text or html.escape(part["url"])}</a>'
    if part.get("type") == "user":
        return f"<b>@{html.escape(names.get(part['user_id'], part['user_id']))}</b>"
    style = part.get("style") or {}
    return f"<b>{text}</b>" if style.get("bold") else f"<i>{text}</i>" if style.get("italic") else text


def _button(element: Mapping[str, Any]) -> str:
    style = html.escape(str(element.get("style", "")))
    return f'<span class="button {style}">{html.escape(_label(element))}</span>'


def _label(element: Mapping[str, Any]) -> str:
    return str((element.get("text") or {}).get("text", ""))


def _text(text: str, names: Mapping[str, str]) -> str:
    """Convert the parts of Slack's markup that the system uses to HTML."""

    def replace(found: re.Match[str]) -> str:
        target, _, label = found[1].partition("|")
        if target.startswith("!date^"):
            moment = datetime.fromtimestamp(int(target.split("^")[1]), UTC)
            return f"{moment:%d %b %H:%M}"
        if target.startswith("#"):
            return f"<b>#{html.escape(names.get(target[1:], target[1:]))}</b>"
        if target.startswith("!"):
            return f"<b>@{html.escape(label or target[1:])}</b>"
        if target.startswith("@"):
            return f"<b>@{html.escape(names.get(target[1:], target[1:]))}</b>"
        return f'<a href="{html.escape(target, quote=True)}">{label or html.escape(target)}</a>'

    # Text in angle brackets is markup; its author has escaped all other text.
    safe = re.sub(r"<([^<>]*)>", replace, text)
    safe = re.sub(r"```(.+?)```", r"<pre>\1</pre>", safe, flags=re.DOTALL)
    safe = re.sub(r"(?<![\w*])\*([^*\n]+)\*(?!\w)", r"<b>\1</b>", safe)
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", safe)


def drawing(execution: Json) -> str:
    """Return the path of an execution through the workflow's diagram as SVG."""
    return diagram.draw(diagram.definition_of_the_project(), execution["states"])


def _execution(execution: Json) -> str:
    """Show an execution's path in the diagram, and as text for users who cannot see the diagram."""
    words = " → ".join(html.escape(state) for state in execution["states"])
    return (
        f"<h3>{html.escape(execution['name'])}: {html.escape(execution['status'])}</h3>"
        f"<details><summary>as text</summary><p>{words}</p></details>{drawing(execution)}"
    )
