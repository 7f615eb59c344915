"""Chromium (Debian) on the pages, driven by selenium (PyPI).

browser.py URL SITES FOLDER: sees a map with SITES sites, writes FOLDER/ready, waits for the alarm GAS-L2-03 to
come by the live feed without a reload, acknowledges it in the page, and keeps screenshots in FOLDER.
browser.py --cases URL SITE FOLDER: files and moves a case at SITE over the API, and sees the pages follow without a reload and
without taking away what is being typed.
browser.py --picture URL FILE: only takes a screenshot of the page once its map is drawn.
"""

import json
import pathlib
import sys
import tempfile
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 60


def start(profile, width=1280, height=900):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.page_load_strategy = "eager"
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--disable-component-update", "--disable-sync", "--disable-quic", f"--user-data-dir={profile}",
        f"--window-size={width},{height}", "--hide-scrollbars",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def wait(browser, what, condition):
    return WebDriverWait(browser, PATIENCE_S, 0.1).until(lambda _: condition(), what)


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def open_page(browser, url):
    browser.get(url)
    wait(browser, f"the map of {url}", lambda: find(browser, ".map svg g.site"))


def follow(url, sites, folder):
    with tempfile.TemporaryDirectory() as profile:
        browser = start(profile)
        try:
            open_page(browser, url + "?lang=zh")
            drawn = len(find(browser, ".map svg g.site"))
            assert drawn == sites, f"{drawn} sites on the map instead of {sites}"
            assert len(find(browser, "section.figures a")) >= 3, "the three figures are not on the page"
            wait(browser, "the live feed", lambda: find(browser, "#connection[data-state=live]"))
            browser.execute_script("window.notReloaded = true")
            (folder / "ready").touch()
            row = 'li.alarm[data-id="panel-1~GAS-L2-03~1"]'
            wait(browser, "the alarm comes by itself", lambda: find(browser, row))
            browser.save_screenshot(str(folder / "page-zh.png"))
            find(browser, row + " summary")[0].click()
            for name, text in (("by", "李工"), ("remark", "已派人到场")):
                field = find(browser, f"{row} input[name={name}]")[0]
                field.clear()
                field.send_keys(text)
            find(browser, row + " button")[0].click()
            wait(browser, "the alarm is acknowledged", lambda: find(browser, row + ".known"))
            shown = find(browser, row)[0].text
            assert "李工" in shown and "已派人到场" in shown, shown
            assert browser.execute_script("return window.notReloaded === true"), "the page was reloaded"
            browser.get(url + "sites/depot?lang=zh&device=panel-1")
            wait(browser, "a place for a chart", lambda: find(browser, "[data-svg]"))
            browser.execute_script("document.querySelector('[data-svg]').scrollIntoView()")
            wait(browser, "a chart", lambda: find(browser, "[data-svg] svg"))
            browser.save_screenshot(str(folder / "site-zh.png"))
            for act in ("test", "end-test"):
                form = f'form[data-act="devices/panel-1/alarms/{act}"]'
                find(browser, form)[0].find_element(By.XPATH, "../summary").click()
                for name, text in (("by", "李工"), ("remark", "标定")):
                    field = find(browser, f"{form} input[name={name}]")[0]
                    field.clear()
                    field.send_keys(text)
                find(browser, form + " button")[0].click()
                wait(browser, f"{act} is done", lambda: find(browser, form + " .error")[0].text == "已执行")
                browser.save_screenshot(str(folder / f"{act}-zh.png"))
            open_page(browser, url + "?lang=en")
            text = browser.find_element(By.TAG_NAME, "body").text
            assert "Acknowledge" in text or "acknowledge" in text, "the English page is not English"
            browser.save_screenshot(str(folder / "page-en.png"))
        finally:
            browser.quit()


def post(address, **body):
    body = json.dumps({"by": "王工", "remark": "好", **body}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def cases(url, site, folder):
    with tempfile.TemporaryDirectory() as profile:
        browser = start(profile)
        try:
            browser.get(url + "cases?lang=zh&open=true")
            wait(browser, "the live feed", lambda: find(browser, "#connection[data-state=live]"))
            browser.execute_script("window.notReloaded = true")
            filed = post(url + "api/v1/cases", title="灯杆歪斜", site=site)
            wait(browser, "the case comes by itself", lambda: "灯杆歪斜" in browser.find_element(By.TAG_NAME, "main").text)
            browser.save_screenshot(str(folder / "cases-zh.png"))
            assert browser.execute_script("return window.notReloaded === true"), "the list was reloaded"

            browser.get(url + f"cases/{filed['id']}?lang=zh")
            wait(browser, "the live feed", lambda: find(browser, "#connection[data-state=live]"))
            form = "form[data-action=cancel]"
            find(browser, form)[0].find_element(By.XPATH, "../summary").click()
            find(browser, f"{form} input[name=remark]")[0].send_keys("重复立")
            post(url + f"api/v1/cases/{filed['id']}/dispatch")
            wait(browser, "the page says dispatched", lambda: "已派遣" in find(browser, "h1")[0].text)
            # Who is typing goes on where they were.
            browser.switch_to.active_element.send_keys("案")
            kept = find(browser, f"{form} input[name=remark]")[0].get_attribute("value")
            assert kept == "重复立案", f"what was typed is now {kept!r}"
            browser.save_screenshot(str(folder / "case-zh.png"))
            # With the form closed, the buttons follow too.
            assert not find(browser, "form[data-action=start]"), "the part with the form was put in anew"
            find(browser, form)[0].find_element(By.XPATH, "../summary").click()
            wait(browser, "the button of the step", lambda: find(browser, "form[data-action=start]"))
            post(url + f"api/v1/cases/{filed['id']}/start")
            wait(browser, "the button of the next step", lambda: find(browser, "form[data-action=handled]"))
            rows = len(find(browser, "section:last-of-type tbody tr"))
            assert rows == 3, f"{rows} events instead of 3"
        finally:
            browser.quit()


def picture(url, file):
    with tempfile.TemporaryDirectory() as profile:
        browser = start(profile, 1400, 1000)
        try:
            browser.get(url)
            wait(browser, "a drawing", lambda: find(browser, "[data-svg] svg"))
            wait(browser, "the live feed", lambda: not find(browser, "#connection") or find(browser, "#connection[data-state=live]"))
            browser.save_screenshot(file)
        finally:
            browser.quit()


if __name__ == "__main__":
    if sys.argv[1] == "--picture":
        picture(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--cases":
        cases(sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4]))
    else:
        follow(sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]))
