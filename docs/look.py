"""Pictures of pages as Chromium lays them out, at 360 and 1280 pixels, light and dark.

    python -m venv look && look/bin/pip install PySide6 websocket-client pymupdf
    look/bin/python docs/look.py FOLDER PAGE.html [PAGE.html ...]

Writes FOLDER/PAGE-WIDTH-SCHEME.png, and prints what is wider than the page beside its name. For
machines without a browser: the engine is that of Qt, which comes with PySide6 from the package
index and needs neither screen nor graphics card. Without these it composes no picture of the
screen, so a page is printed, with the styles of a screen, to one sheet of its own size.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from itertools import product
from pathlib import Path

WIDTHS, SCHEMES, PORT = (360, 1280), ("light", "dark"), 9222
# Charts are drawn after a page is loaded.
SECONDS = 1.5
HIGHEST = 14_000
INCH = 96

os.environ |= {
    "QT_QPA_PLATFORM": "offscreen",
    "QTWEBENGINE_DISABLE_SANDBOX": "1",
    "QTWEBENGINE_REMOTE_DEBUGGING": str(PORT),
    "QTWEBENGINE_CHROMIUM_FLAGS": "--disable-gpu --disable-gpu-compositing --no-sandbox "
    "--disable-dev-shm-usage --remote-allow-origins=*",
}

import pymupdf  # noqa: E402
import websocket  # noqa: E402
from PySide6.QtCore import QMarginsF, QObject, QSizeF, QUrl, Signal  # noqa: E402
from PySide6.QtGui import QPageLayout, QPageSize  # noqa: E402
from PySide6.QtWebEngineCore import QWebEnginePage  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

MEASURE = """JSON.stringify({
    height: document.documentElement.scrollHeight,
    width: document.documentElement.scrollWidth,
    wide: [...document.querySelectorAll("body *")]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("nav, aside"))
        .slice(0, 3).map(e => e.tagName.toLowerCase() + "." + e.className),
})"""


class Browser(QObject):
    """Prints one page after the other."""

    measured = Signal(dict)

    def __init__(self, folder: Path, pages: list[Path]) -> None:
        super().__init__()
        self.folder = folder
        self.waiting = list(product(pages, WIDTHS, SCHEMES))
        self.page = QWebEnginePage()
        # Its protocol alone can ask for a width and a scheme.
        self.page.loadFinished.connect(lambda: threading.Thread(target=self.measure).start())
        self.measured.connect(self.print)
        self.page.pdfPrintingFinished.connect(self.finish)

    def next(self) -> None:
        """Load a page, or end."""
        if self.waiting:
            self.page.load(QUrl.fromLocalFile(str(self.waiting[0][0].resolve())))
        else:
            QApplication.quit()

    def measure(self) -> None:
        """Set width and scheme, and measure the page."""
        _, width, scheme = self.waiting[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/json") as answer:
            address = json.load(answer)[0]["webSocketDebuggerUrl"]
        self.socket = websocket.create_connection(address, timeout=60)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setEmulatedMedia", media="screen", features=media)
        time.sleep(SECONDS)
        found = self.ask("Runtime.evaluate", expression=MEASURE)
        self.measured.emit(json.loads(found["result"]["value"]))

    def ask(self, method: str, **params: object) -> dict:
        """The browser's answer, past what it says unasked."""
        self.socket.send(json.dumps({"id": 1, "method": method, "params": params}))
        while "id" not in (answer := json.loads(self.socket.recv())):
            pass
        return answer["result"]

    def print(self, size: dict) -> None:
        """Print the page as it is shown."""
        page, width, scheme = self.waiting[0]
        name = f"{page.stem}-{width}-{scheme}"
        wide = ", ".join(size["wide"]) if size["width"] > width else ""
        print(name, f"{size['width']} x {size['height']}", wide, flush=True)
        points = 72 / INCH
        sheet = QSizeF(width * points, min(size["height"] + 10, HIGHEST) * points)
        exact = QPageSize.SizeMatchPolicy.ExactMatch
        paper = QPageSize(sheet, QPageSize.Unit.Point, name, exact)
        upright = QPageLayout.Orientation.Portrait
        layout = QPageLayout(paper, upright, QMarginsF(0, 0, 0, 0))
        self.page.printToPdf(str(self.folder / f"{name}.pdf"), layout)

    def finish(self, path: str, _printed: bool) -> None:
        """Turn the first sheet into a picture."""
        pdf = Path(path)
        with pymupdf.open(pdf) as document:
            document[0].get_pixmap(dpi=INCH).save(pdf.with_suffix(".png"))
        pdf.unlink()
        self.socket.close()
        self.waiting.pop(0)
        self.next()


def main() -> None:
    """Run as described above."""
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    application = QApplication(sys.argv[:1])
    browser = Browser(folder, [Path(page) for page in sys.argv[2:]])
    browser.next()
    application.exec()


if __name__ == "__main__":
    main()
