"""Take the README's pictures from the running house, in a real browser: `.venv/bin/python docs/pictures/take.py`.

Needs what `make test` installs, and Debian's chromium.
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
            }.items():
                page.goto(settings.airflow + path, wait_until="networkidle")
                page.wait_for_timeout(2500)
                page.screenshot(path=HERE / f"{name}.png")
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
