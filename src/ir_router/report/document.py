"""The parts that the pages of a case share: head, style, tables and lists. Pure.

A page has no scripts and no external files. It is readable on a phone and printable on A4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: #1b1f24; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; padding-bottom: .25rem; border-bottom: 2px solid #1b1f24; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p, ul, dl { margin: .25rem 0 .75rem; }
li { margin: .2rem 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .25rem 1rem; }
dt { color: #57606a; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
table { width: 100%; border-collapse: collapse; margin: .25rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem .35rem 0; border-bottom: 1px solid #d0d7de;
  overflow-wrap: anywhere; }
th { color: #57606a; font-weight: 600; }
th, td.at, td.kind, td.region, .address { white-space: nowrap; }
td[data-label="by"] { min-width: 9rem; }
code { font: .8rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.small { color: #57606a; font-size: .875rem; }
@media (max-width: 40rem) {
  thead { display: none; }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid #d0d7de; }
  td { display: block; border: 0; padding: 0; }
  td:empty { display: none; }
  td[data-label]::before { content: attr(data-label) " "; color: #57606a; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@page { size: A4; margin: 18mm 15mm; }
@media print {
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; font-size: 1rem; }
  h2, h3 { break-after: avoid; }
  tr, li { break-inside: avoid; }
  thead { display: table-header-group; }
  a { color: inherit; text-decoration: none; }
}
"""
_NO_KINDS: Mapping[int, str] = {}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def head(title: str, style: str = "") -> str:
    """Return the beginning of a page, with the style rules that only this page has."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head><body>"
    )


def section(title: str, *parts: str) -> str:
    """Return a section with its title."""
    return f"<h2>{escape(title)}</h2>\n" + ("\n".join(parts) or "<p>None.</p>")


def pairs(lines: Iterable[tuple[str, str]]) -> str:
    """Return names with their values, without empty values. The values are escaped already."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{shown}</dd>" for name, shown in lines if shown) + "</dl>"


def listed(lines: Sequence[str], nothing: str) -> str:
    """Return a list, or the text `nothing` if it is empty."""
    if not lines:
        return f"<p>{escape(nothing)}</p>"
    return "<ul>" + "".join(f"<li>{escape(str(line))}</li>" for line in lines) + "</ul>"


def table(names: Sequence[str], rows: Sequence[Sequence[str]], kinds: Mapping[int, str] = _NO_KINDS) -> str:
    """Return a table.

    Args:
        names: The titles of the columns. A phone shows the title of a cell before it.
        rows: The cells, which are escaped already.
        kinds: The CSS classes of rows by index.
    """
    if not rows:
        return "<p>None.</p>"
    titles = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [
        f"<tr{_class(kinds.get(number, ''))}>"
        + "".join(_cell(names[index], index, cell) for index, cell in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    ]
    return "\n".join([f"<table><thead><tr>{titles}</tr></thead><tbody>", *lines, "</tbody></table>"])


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _cell(name: str, index: int, cell: str) -> str:
    kind = _class({"time (UTC)": "at", "kind": "kind", "region": "region"}.get(name, ""))
    label = f' data-label="{escape(name)}"' if index > 0 and name not in ("what", "kind") else ""
    return f"<td{kind}{label}>{cell}</td>"
