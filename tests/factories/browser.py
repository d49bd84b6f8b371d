"""A person at Airflow: Debian's Chromium, driven by Playwright, signed in by a role."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright

from nightshift.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
PATIENCE_MS = 30_000
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
FORBIDDEN = "Content Security Policy"


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Start Chromium; it and all that was opened in it are gone afterwards."""
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody in front of Airflow's pages; ``complaints`` is what the browser held against them."""

    def __init__(self, browser: Browser, settings: Settings, role: str) -> None:
        self.settings, self.role = settings, role
        self.complaints: list[str] = []
        self.page: Page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda told: self.complaints.append(told.text) if FORBIDDEN in told.text else None)

    def sign_in(self) -> "Person":
        """Go through Airflow's own sign-in."""
        words = json.loads((self.settings.state / "airflow" / "secrets" / "passwords.json").read_text())
        self.page.goto(self.settings.airflow)
        self.page.locator("input[name=username]").fill(self.role)
        self.page.locator("input[name=password]").fill(words[self.role])
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "login" not in url)
        return self

    @property
    def frame(self) -> FrameLocator:
        """The page *Models* where Airflow shows it."""
        return self.page.frame_locator("iframe")

    def open_models(self) -> FrameLocator:
        """Choose *Models* in Airflow's menu."""
        in_menu = self.page.get_by_role("link", name="Models", exact=True)
        if "/nightshift/models" in self.page.url or not in_menu.is_visible():
            self.page.goto(self.settings.airflow)
        in_menu.click()
        expect(self.frame.get_by_role("heading", name="Models", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        return self.frame

    def open_form(self, button: str, *, model: str) -> Locator:
        """Go from the model's page by one of its buttons to the form of a DAG."""
        self.open_models().get_by_role("link", name=model).first.click()
        self.frame.get_by_role("link", name=button).click()
        self.page.get_by_role("button", name="Trigger").first.click()
        form = self.page.get_by_role("dialog")
        expect(form.locator("#element_reason")).to_be_visible(timeout=PATIENCE_MS)
        return form

    def write_json(self, form: Locator, text: str) -> None:
        """Put ``text`` into the form's advanced field, over what is there, and see that the fields have taken it.

        Where Airflow draws the form anew meanwhile, what was written is gone; whoever sees that writes it again.
        """
        editor = form.locator(".monaco-editor").first
        if not editor.is_visible():
            form.get_by_role("button", name="Advanced Options").click()
        for _ in range(3):
            self._write_over(editor, text)
            form.locator("[name=dagRunId]").click()  # the form reads what was written when it is left
            with suppress(AssertionError):
                expect(form.locator("#element_reason")).to_have_value(json.loads(text)["reason"], timeout=3_000)
                return
        raise AssertionError(f"the form does not take {text}")

    def write_reason(self, text: str) -> None:
        """Fill in why, and see that it stays."""
        field = self.page.locator("#element_reason")
        for _ in range(3):
            field.fill(text)
            self.page.wait_for_timeout(500)
            if field.input_value() == text:
                return
        raise AssertionError(f"the form does not take {text}")

    def _write_over(self, editor: Locator, text: str) -> None:
        editor.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)
        for _ in range(6):
            self.page.keyboard.press("Delete")  # the editor closes quotes and braces by itself


def start(form: Locator) -> None:
    """Press the form's button."""
    form.get_by_test_id("trigger-dag-submit").click()
