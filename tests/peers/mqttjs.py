"""MQTT.js (npm) in Chromium (Debian), driven by selenium (PyPI): mqttjs.py URL prints what the page says at last."""

import sys
import tempfile

from selenium.webdriver.common.by import By

from browser import start, wait

with tempfile.TemporaryDirectory() as profile:
    chromium = start(profile)
    try:
        chromium.get(sys.argv[1])
        result = chromium.find_element(By.ID, "result")
        wait(chromium, "the page comes to an end", lambda: result.text != "waiting")
        print(result.text)
    finally:
        chromium.quit()
