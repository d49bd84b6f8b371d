"""Take the README's pictures from the running house, in a real browser: `.venv/bin/python docs/pictures/take.py`.

Needs what `make test` installs, Debian's chromium, and for the certificate a
run of `nightshift reproduce`.
"""

from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from nightshift.services.house import sign_in
from nightshift.settings import Settings

HERE = Path(__file__).parent
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
VIEW = {"width": 1500, "height": 900}


def main() -> None:
    settings = Settings.load()
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        try:
            page = signed_in(browser, settings)
            for name, path in {
                "monitor-grid": "/dags/monitor_flight_delay",
                "build-grid": "/dags/build_flight_delay",
                "reproduce-grid": "/dags/reproduce_flight_delay",
            }.items():
                page.goto(settings.airflow + path, wait_until="networkidle")
                page.wait_for_timeout(2500)
                page.screenshot(path=HERE / f"{name}.png")
            certificates = settings.runs.glob("*/reproduce/*/certificate.html")
            newest = max(certificates, key=lambda file: file.stat().st_mtime, default=None)
            if newest:
                page.goto(newest.as_uri())
                page.screenshot(path=HERE / "certificate.png", clip={"x": 240, "y": 20, "width": 1020, "height": 760})
        finally:
            browser.close()


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
