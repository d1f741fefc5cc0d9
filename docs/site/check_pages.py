"""Open every page of the built site in Chromium, and report what axe-core and a phone find.

    python docs/site/check_pages.py [--html build/site/html] [--axe axe.min.js] [--shots DIR]

Each page is opened 390 and 1280 pixels wide, in light and in dark mode. axe-core must find nothing,
and no page may be wider than its window. `npm install axe-core` provides axe.min.js; without --axe
it is looked for in node_modules/ of this folder and of those above it. --shots also saves pictures
of a few pages.
"""

from __future__ import annotations

import argparse
import functools
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from links import pages_of

__all__ = ["check", "find_axe", "find_chromium"]

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (390, 1280)
SHOWN = (
    "index", "labs/index", "labs/lab05", "models/lenet5", "experiments/width", "api/train",
    "benchmarks",
)  # fmt: skip
SECONDS = 120  # for a page
# Runs in the browser: each page in a frame of its own, then the findings go back to this script.
RUNNER = """<!DOCTYPE html><html lang="en"><title>check</title><body><script>
const pages = %(pages)s, views = %(views)s;
let found = [];
async function open(page) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${views[0][0]}px; height: 900px; border: 0`;
  frame.src = "/" + page;
  document.body.replaceChildren(frame);
  await new Promise(done => frame.onload = done);
  for (const one of frame.contentDocument.querySelectorAll("details")) one.open = true;
  const script = frame.contentDocument.createElement("script");
  script.src = "/__axe.js";
  await new Promise(done => {
    script.onload = done;
    frame.contentDocument.documentElement.appendChild(script);
  });
  return frame;
}
async function look(frame, page, width, theme) {
  const inside = frame.contentWindow, root = frame.contentDocument.documentElement;
  frame.style.width = `${width}px`;
  root.dataset.theme = root.dataset.mode = theme;
  // Changes of color may be animated.
  await new Promise(done => setTimeout(done, 60));
  const result = await inside.axe.run({resultTypes: ["violations"]});
  for (const one of result.violations)
    for (const node of one.nodes)
      found.push({page, width, theme, rule: one.id, html: node.html.slice(0, 200),
                  why: node.failureSummary});
  if (root.scrollWidth > width)
    found.push({page, width, theme, rule: "wider than its window", html: "",
                why: `${root.scrollWidth} pixels`});
}
(async () => {
  for (const page of pages) {
    found = [];
    try {
      const frame = await open(page);
      for (const [width, theme] of views) await look(frame, page, width, theme);
    } catch (error) {
      found.push({page, width: 0, theme: "", rule: "error", html: "", why: `${error}`});
    }
    await fetch("/__found", {method: "POST", body: JSON.stringify(found)});
  }
})();
</script></body></html>"""


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def find_axe() -> Path | None:
    places = (
        folder / "node_modules" / "axe-core" / "axe.min.js" for folder in (ROOT, *ROOT.parents)
    )
    return next((path for path in places if path.is_file()), None)


def check(html: Path, axe: Path, pages: list[str] | None = None) -> list[dict[str, Any]]:
    """What is wrong with the pages of the site in `html`: page, width, theme, rule, html, why.

    pages: paths below `html` (None: all). Raises TimeoutError if the browser does not finish.
    """
    pages = pages or [path.relative_to(html).as_posix() for path in pages_of(html)]
    views = [(width, theme) for width, theme in zip(WIDTHS, ("light", "dark"), strict=True)]
    runner = RUNNER % {"pages": json.dumps(pages), "views": json.dumps(views)}
    answers: queue.Queue[list[dict[str, Any]]] = queue.Queue()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            own = {"/__runner": (runner.encode(), "text/html; charset=utf-8"),
                   "/__axe.js": (axe.read_bytes(), "text/javascript; charset=utf-8")}  # fmt: skip
            if self.path not in own:
                super().do_GET()
                return
            content, kind = own[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.Popen(
            [*browser_command(profile, 1300), "--remote-debugging-port=0",
             f"http://127.0.0.1:{server.server_port}/__runner"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            return [one for page in pages for one in answer(answers, page)]
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()


def answer(answers: queue.Queue[list[dict[str, Any]]], page: str) -> list[dict[str, Any]]:
    """What the browser says of `page`, the next one. Raises TimeoutError."""
    try:
        return answers.get(timeout=SECONDS)
    except queue.Empty:
        raise TimeoutError(f"the browser did not finish {page} in {SECONDS} s") from None


def browser_command(profile: str, width: int) -> list[str]:
    return [
        find_chromium() or "chromium", "--headless", "--no-sandbox", "--disable-gpu",
        "--hide-scrollbars", f"--window-size={width},1000", f"--user-data-dir={profile}",
    ]  # fmt: skip


def shoot(html: Path, folder: Path) -> None:
    """Save a picture of each page of SHOWN at each width."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHOWN:
        for width in WIDTHS:
            path = folder / f"{name.replace('/', '_')}_{width}.png"
            # Chromium's windows are at least 500 pixels wide, a frame is not.
            with tempfile.TemporaryDirectory() as profile:
                page = Path(profile) / "page.html"
                page.write_text(
                    f'<body style="margin: 0"><iframe style="width: {width}px; height: 1400px; '
                    f'border: 0" src="{(html / name).as_uri()}.html"></iframe>'
                )
                subprocess.run(
                    [*browser_command(profile, max(width, 500))[:-2],
                     f"--user-data-dir={profile}", f"--window-size={max(width, 500)},1400",
                     f"--screenshot={path}", page.as_uri()],
                    check=True, capture_output=True,
                )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--html", type=Path, default=ROOT / "build" / "site" / "html")
    parser.add_argument("--axe", type=Path, default=find_axe(), help="path of axe.min.js")
    parser.add_argument("--shots", type=Path, metavar="DIR", help="save pictures of a few pages")
    args = parser.parse_args()
    if not (args.html / "index.html").is_file():
        parser.error(f"no site in {args.html}; build it with `make site`")
    if args.axe is None or find_chromium() is None:
        parser.error("this needs chromium, and axe.min.js of `npm install axe-core`")
    if args.shots:
        shoot(args.html.resolve(), args.shots)
    found = check(args.html.resolve(), args.axe)
    for one in found:
        print(f"{one['page']} ({one['width']}, {one['theme']}): {one['rule']}: {one['html']}")
        print(f"    {one['why']}")
    print(f"{len(pages_of(args.html))} pages, {len(found)} findings")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
