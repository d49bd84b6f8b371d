"""The API's description as one page: no script, and nothing fetched from elsewhere, so it reads the same offline."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: #8881; padding: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }
code, pre { font-size: .875rem; }
h2 { font-size: 1.1rem; margin-top: 2.5rem; } td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
:root { color-scheme: light dark; }
"""


def show(described: Mapping[str, Any], *, openapi: str) -> str:
    """Return an OpenAPI description as HTML.

    Parameters
    ----------
    described
        The description, as FastAPI makes it.
    openapi
        Where it is to be had as JSON.

    Examples
    --------
    >>> page = show({"info": {"title": "A & B"}, "paths": {"/v1/x": {"get": {"summary": "Shows x"}}}}, openapi="/o")
    >>> "<h1>A &amp; B</h1>" in page, "<code>GET /v1/x</code>" in page, "<script" in page
    (True, True, False)
    """
    title = escape(described["info"]["title"])
    forms = described.get("components", {}).get("schemas", {})
    routes = [
        _route(path, method, told, forms)
        for path, methods in described["paths"].items()
        for method, told in methods.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f'<h1>{title}</h1><p>The same for programs: <a href="{escape(openapi)}">{escape(openapi)}</a>. '
        "Where keys are asked for, send yours as <code>Authorization: Bearer …</code>.</p>"
        f"{_refusals(forms)}"
        f"{''.join(routes)}</html>"
    )


def _route(path: str, method: str, told: Mapping[str, Any], forms: Mapping[str, Any]) -> str:
    parameters = [(f"{one['name']} ({one['in']})", one.get("description", "")) for one in told.get("parameters", ())]
    answers = [(status, one.get("description", "")) for status, one in sorted(told.get("responses", {}).items())]
    return (
        f"<h2>{escape(told.get('summary', ''))}</h2><p><code>{method.upper()} {escape(path)}</code></p>"
        f"{_table(parameters)}{_body(told, forms)}{_table(answers)}{_answer(told, forms)}"
    )


def _body(told: Mapping[str, Any], forms: Mapping[str, Any]) -> str:
    """Return what may be sent: its media types, and an example of its form."""
    content = told.get("requestBody", {}).get("content", {})
    form, kinds = _form(content, forms), " or ".join(f"<code>{escape(kind)}</code>" for kind in content)
    return f"<p>{escape(form.get('description', ''))}</p><p>Send {kinds}.</p>{_examples(form)}" if content else ""


def _answer(told: Mapping[str, Any], forms: Mapping[str, Any]) -> str:
    """Return an example of what comes back, where there is one."""
    shown = _examples(_form(told.get("responses", {}).get("200", {}).get("content", {}), forms))
    return f"<p>What comes back, for example:</p>{shown}" if shown else ""


def _refusals(forms: Mapping[str, Any]) -> str:
    """Return the one form of all refusals."""
    shown = _examples(forms.get("Refusal", {}))
    return f"<p>All refusals have one form:</p>{shown}" if shown else ""


def _form(content: Mapping[str, Any], forms: Mapping[str, Any]) -> Mapping[str, Any]:
    named = [one.get("schema", {}).get("$ref", "").rpartition("/")[2] for one in content.values()]
    return next((forms[name] for name in named if name in forms), {})


def _examples(form: Mapping[str, Any]) -> str:
    return "".join(f"<pre>{escape(json.dumps(one, ensure_ascii=False))}</pre>" for one in form.get("examples", ()))


def _table(rows: list[tuple[str, str]]) -> str:
    lines = (f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{''.join(lines)}</table>" if rows else ""
