"""The API's documentation as one plain page, generated from its OpenAPI description.

It has no scripts and loads nothing, so that it works without internet and under the strictest
content security policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["api_page"]

_METHODS = ("get", "post", "put", "patch", "delete")
_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
}
_STYLE = """
:root { color-scheme: light; --ground: #f3f4f6; --card: #fff; --ink: #16181d; --quiet: #646b78;
  --line: #dfe2e8; --accent: #2563eb; }
@media (prefers-color-scheme: dark) { :root { color-scheme: dark; --ground: #0e0f13;
  --card: #181a20; --ink: #e8eaf0; --quiet: #969daa; --line: #2a2d36; --accent: #6ea0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 980px; padding: 18px; background: var(--ground);
  color: var(--ink); font: 14px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 20px; } h2 { font-size: 16px; margin: 26px 0 8px; }
a { color: var(--accent); } p { margin: 6px 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 12px 14px; margin: 0 0 12px; overflow-x: auto; }
h3 { font-size: 14px; margin: 0 0 4px; font-family: ui-monospace, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
h3 b { color: var(--accent); margin-right: 8px; }
table { border-collapse: collapse; margin: 8px 0 2px; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 3px 12px 3px 0;
  border-top: 1px solid var(--line); font-weight: 400; overflow-wrap: anywhere; }
td:first-child, th:first-child { width: 22%; }
th { color: var(--quiet); font-size: 12px; border: 0; }
td:first-child { font-family: ui-monospace, "DejaVu Sans Mono", monospace; min-width: 7em; }
.quiet { color: var(--quiet); }
"""


def api_page(description: Mapping[str, Any], description_url: str) -> str:
    """The page.

    Args:
        description: of the API, as OpenAPI 3.1 has it.
        description_url: where the description itself is found, as seen from the page.
    """
    info = description["info"]
    parts = [
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>",
        f'<p class="quiet"><a href="{escape(description_url)}">OpenAPI description</a> · '
        "/ws/states and /ws/events are WebSockets with binary messages: see "
        "docs/dashboard_api.md</p>",
    ]
    for tag, operations in _by_tag(description).items():
        parts.append(f"<h2>{escape(tag.capitalize())}</h2>")
        parts += [_operation(*operation) for operation in operations]
    parts.append("<h2>Fields</h2>")
    for name, schema in description.get("components", {}).get("schemas", {}).items():
        fields = _fields(schema)
        if fields:
            about = f"<p>{escape(schema.get('description', ''))}</p>"
            parts.append(f'<section id="{escape(name)}"><h3>{escape(name)}</h3>{about}{fields}')
            parts.append("</section>")
    title = escape(info["title"])
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}: API</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def _by_tag(
    description: Mapping[str, Any],
) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
    """Method, path and description of all operations, by their first tag."""
    found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in description["paths"].items():
        for method in filter(methods.__contains__, _METHODS):
            operation = methods[method]
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append((method, path, operation))
    return found


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    about = operation.get("description") or operation.get("summary", "")
    parts = [f"<h3><b>{method.upper()}</b>{escape(path)}</h3><p>{escape(about)}</p>"]
    asked = [
        (one["name"], one["in"], _kind(one.get("schema", {})), one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    parts.append(_table(("parameter", "in", "type", ""), asked))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        parts.append(f"<p>Body: {_kind(content.get('schema', {}))}</p>")
    answers = [
        (status, answer.get("description", ""), " ".join(_contents(answer)))
        for status, answer in operation.get("responses", {}).items()
    ]
    parts.append(_table(("answer", "", ""), answers, marked=2))
    return f"<section>{''.join(parts)}</section>"


def _contents(answer: Mapping[str, Any]) -> Iterator[str]:
    for media, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        yield _kind(schema) if schema else escape(media)


def _fields(schema: Mapping[str, Any]) -> str:
    """The fields of an object as a table; empty for anything else."""
    needed = schema.get("required", ())
    rows = [
        (
            name + ("" if name in needed else " (optional)"),
            _kind(field),
            field.get("description", ""),
        )
        for name, field in schema.get("properties", {}).items()
    ]
    return _table(("field", "type", ""), rows, marked=1)


def _kind(schema: Mapping[str, Any]) -> str:
    """A type with its bounds, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(map(_kind, choices))
    kind = schema.get("type", "any")
    text = escape(kind if isinstance(kind, str) else " or ".join(kind))
    if kind == "array" and "items" in schema:
        text = f"list of {_kind(schema['items'])}"
    if "enum" in schema:
        text += f", one of {escape(', '.join(map(str, schema['enum'])))}"
    bounds = [f"{sign} {schema[name]}" for name, sign in _BOUNDS.items() if name in schema]
    return f"{text} {escape(', '.join(bounds))}" if bounds else text


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], marked: int = 2) -> str:
    """A table; of each row the cell `marked` is HTML already, all others are text."""
    if not rows:
        return ""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{cell if place == marked else escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{titles}</tr>{body}</table>"
