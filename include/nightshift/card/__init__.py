"""The model card: what a release is, what it may be used for and what proves it, on one page for people."""

from nightshift.card.card import render_html, render_markdown, write_card
from nightshift.card.content import CardContent

__all__ = ["CardContent", "render_html", "render_markdown", "write_card"]
