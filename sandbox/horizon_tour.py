# SPDX-License-Identifier: Apache-2.0
"""Drives octavia-dashboard in a browser, and takes pictures of its dialogs.

``horizon_tour.py URL PASSWORD FOLDER create MEMBER...`` creates a load balancer with the wizard;
the dashboard creates the parts one after the other, while the browser shows the list.
``horizon_tour.py URL PASSWORD FOLDER edit`` edits it when all of them are there.

Runs in Horizon's own environment, with Playwright and Debian's Chromium. A step that does not end
as it must ends the program with an error, and `failure.png` shows the page.

The sandbox has no Nova, of which the wizard wants a list of instances: the browser gets an empty
one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

LOAD_BALANCER = "web"
DESCRIPTION = "edited in Horizon"
_SUBNET, _SUBNET_NAME = "10.0.0.0/24", "web-subnet"
_CHROMIUM = "/usr/bin/chromium"
_SIZE = {"width": 1100, "height": 760}
_TIMEOUT = 60_000.0  # milliseconds; the sandbox may share its machine
_MESSAGES = ".messages"


class Tour:
    """One way through the dashboard."""

    def __init__(self, page: Page, url: str, folder: Path) -> None:
        self._page, self._url, self._folder = page, url, folder
        self._dialog = page.locator(".modal-content")

    # --- chapters ------------------------------------------------------------------------

    def log_in(self, password: str) -> None:
        """Log in as the administrator."""
        self._page.goto(f"{self._url}/auth/login/")
        self._page.fill("#id_username", "admin")
        self._page.fill("#id_password", password)
        self._page.click("#loginBtn")
        self._page.wait_for_load_state()

    def create(self, *members: str) -> None:
        """Create a load balancer with listener, pool, members and monitor by the wizard."""
        self._page.goto(f"{self._url}/project/load_balancer/")
        self._button(self._page, "Create Load Balancer").click()
        self._field("name").fill(LOAD_BALANCER)
        self._choose("Provider", "ovn")
        self._choose("Subnet", _SUBNET)
        self._picture("create-1-load-balancer")
        self._next()
        self._field("protocol").select_option(label="TCP")
        self._field("port").fill("80")
        self._picture("create-2-listener")
        self._next()
        self._field("method").select_option(label="Source IP:Port")
        self._picture("create-3-pool")
        self._next()
        for address in members:
            self._button(self._dialog, "Add external member").click()
            self._last("address").fill(address)
            self._last("subnet").select_option(label=_SUBNET_NAME)
            self._last("port").fill("80")
        self._picture("create-4-members")
        self._next()
        self._field("type").select_option(label="TCP")
        self._field("interval").fill("1")
        self._field("timeout").fill("1")
        self._picture("create-5-monitor")
        self._finish("Create Load Balancer")

    def edit(self) -> None:
        """Give it a description, and choose another algorithm for its pool."""
        self._page.goto(f"{self._url}/project/load_balancer/")
        expect(self._row(LOAD_BALANCER)).to_contain_text("Online")
        self._picture("list")
        self._button(self._row(LOAD_BALANCER), "Edit Load Balancer").click()
        expect(self._list("Subnet").locator("input")).to_have_value(re.compile(_SUBNET))
        self._field("description").fill(DESCRIPTION)
        self._picture("edit-load-balancer")
        self._finish("Update Load Balancer")
        expect(self._row(LOAD_BALANCER)).to_contain_text("Active")
        self._page.get_by_role("link", name=LOAD_BALANCER, exact=True).click()
        self._page.get_by_role("tab", name="Pools").or_(
            self._page.get_by_role("link", name="Pools", exact=True)
        ).first.click()
        self._button(self._page, "Edit Pool").click()
        expect(self._field("method")).to_have_value(re.compile("SOURCE_IP_PORT"))
        self._field("method").select_option(label="Source IP")
        self._picture("edit-pool")
        self._finish("Update Pool")

    # --- words of this tour --------------------------------------------------------------

    def _finish(self, name: str) -> None:
        self._button(self._dialog, name).click()
        expect(self._dialog).to_have_count(0)

    def _row(self, name: str) -> Locator:
        return self._page.locator("tr", has=self._page.get_by_role("link", name=name, exact=True))

    def _field(self, name: str) -> Locator:
        return self._dialog.locator(f"#{name}:visible")

    def _choose(self, label: str, text: str) -> None:
        """Choose in a list that can be filtered; one with a single choice is not shown."""
        box = self._list(label)
        expect(self._dialog.locator("filter-select:visible input").last).to_be_visible()
        if box.count():
            box.locator("input").click()
            box.locator("input").fill(text)
            box.locator("tbody tr").first.click()

    def _list(self, label: str) -> Locator:
        title = self._page.get_by_text(label, exact=True)
        return self._dialog.locator(".form-group:visible", has=title).locator("filter-select")

    def _last(self, name: str) -> Locator:
        """Return a field of the last member."""
        return self._dialog.locator(
            f"[name$='-{name}']:visible:not([name$='-monitor-{name}'])"
        ).last

    def _next(self) -> None:
        self._button(self._dialog, "Next").click()

    @staticmethod
    def _button(place: Page | Locator, name: str) -> Locator:
        return place.get_by_role("button", name=name).first

    def _picture(self, name: str) -> None:
        self._page.locator(_MESSAGES).evaluate_all("all => all.forEach(each => each.remove())")
        self._page.wait_for_timeout(300)  # the dialog's transitions
        self._page.screenshot(path=self._folder / f"{name}.png")


def main(url: str, password: str, folder: str, chapter: str, *members: str) -> None:
    """See above."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=_SIZE)
        page.set_default_timeout(_TIMEOUT)
        expect.set_options(timeout=_TIMEOUT)
        page.route("**/api/nova/servers/**", lambda route: route.fulfill(json={"items": []}))
        tour = Tour(page, url, Path(folder))
        try:
            tour.log_in(password)
            {"create": tour.create, "edit": tour.edit}[chapter](*members)
        # Whatever has failed: the page shows why. The error is raised again.
        except Exception:
            page.screenshot(path=Path(folder) / "failure.png")
            raise
        finally:
            browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
