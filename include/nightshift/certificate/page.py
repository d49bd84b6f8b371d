"""The certificate as one HTML page that needs nothing but itself."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nightshift.certificate.certificate import Certificate


def render_page(certificate: Certificate) -> str:
    """Return the page: no script, nothing loaded from elsewhere, all values escaped."""
    room = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return room.get_template("certificate.html.j2").render(certificate=certificate)
