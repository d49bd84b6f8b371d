"""Take the README's pictures from the running house, in a real browser: `.venv/bin/python docs/pictures/take.py`.

Needs what `make test` installs, Debian's chromium, the house with the demo told
(`make demo`), and for the certificate a run of `nightshift reproduce`.
"""

from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from nightshift.ledger import Ledger
from nightshift.services.house import sign_in
from nightshift.settings import Settings
from nightshift.verdict import Status

HERE = Path(__file__).parent
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
VIEW = {"width": 1500, "height": 900}
MODEL = "flight_delay"


def main() -> None:
    settings = Settings.load()
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        try:
            page = signed_in(browser, settings)
            take_grids(page, settings)
            take_models(page, settings)
            take_certificate(page, settings)
        finally:
            browser.close()


def take_grids(page: Page, settings: Settings) -> None:
    """Take the DAGs as Airflow shows them."""
    for name in ("monitor", "build"):
        page.goto(f"{settings.airflow}/dags/{name}_{MODEL}", wait_until="networkidle")
        page.wait_for_timeout(2500)
        page.screenshot(path=HERE / f"{name}-grid.png")


def take_models(page: Page, settings: Settings) -> None:
    """Take the page of the model inside Airflow, at the column that broke the last window that was BROKEN."""
    broken = [one for one in Ledger(settings.ledger).windows(MODEL) if one.body["verdict"]["status"] == Status.BROKEN]
    chosen = f"?window={broken[-1].id}" if broken else ""
    page.set_viewport_size({"width": 1500, "height": 1240})
    page.goto(f"{settings.airflow}/plugin/nightshift/nightshift/models/{MODEL}{chosen}", wait_until="networkidle")
    page.frame_locator("iframe").locator("canvas").first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / "page.png")
    page.set_viewport_size(VIEW)


def take_certificate(page: Page, settings: Settings) -> None:
    """Take the newest certificate, if a release was ever rebuilt."""
    certificates = settings.runs.glob("*/reproduce/*/certificate.html")
    newest = max(certificates, key=lambda file: file.stat().st_mtime, default=None)
    if newest:
        page.goto(newest.as_uri())
        page.screenshot(path=HERE / "certificate.png", clip={"x": 240, "y": 20, "width": 1020, "height": 760})


def signed_in(browser: Browser, settings: Settings) -> Page:
    user, password = sign_in(settings)
    page = browser.new_page(viewport=VIEW, color_scheme="light")
    page.goto(settings.airflow, wait_until="networkidle")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page


if __name__ == "__main__":
    main()
