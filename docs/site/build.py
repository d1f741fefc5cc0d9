"""Build the web site of the course: python docs/site/build.py [--out build/site].

The pages are put together in OUT/source from docs/, handouts/, the labs, the registry of models,
the experiments of the lectures and the docstrings; Sphinx turns them into OUT/html. No network is
used. A warning, and a link inside the site that leads nowhere, are errors. In the environment,
DLCOURSE_REPOSITORY=owner/name adds the links to GitHub and to Colab.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path.insert(0, str(FOLDER))

import api_pages  # noqa: E402 (these files are next to this one)
import experiment_pages  # noqa: E402 (for the same reason)
import lab_pages  # noqa: E402 (for the same reason)
import links  # noqa: E402 (for the same reason)
import model_pages  # noqa: E402 (for the same reason)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "site", help="default: build/site"
    )
    out = parser.parse_args().out.resolve()
    source, extra, html = (out / name for name in ("source", "extra", "html"))
    for folder in (source, extra, html):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    assemble(source, extra, os.environ.get("DLCOURSE_REPOSITORY", ""))
    os.environ["DLCOURSE_SITE_EXTRA"] = str(extra)

    from sphinx.cmd.build import build_main

    status = build_main(
        ["-c", str(FOLDER), "-W", "--keep-going", "-q", "-b", "html", "-d", str(out / "doctrees"),
         str(source), str(html)]
    )  # fmt: skip
    dead = links.broken(html)
    for link in dead:
        print(f"dead link: {link}", file=sys.stderr)
    print(html / "index.html")
    return int(bool(status or dead))


def assemble(source: Path, extra: Path, repository: str) -> None:
    """Write the source of every page to `source`, and files that are offered as they are."""
    documents = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in links.PAGES)]
    for path in documents:
        home = path.relative_to(ROOT).as_posix()
        page = links.page_of(home)
        assert page is not None, home
        if home == "README.md":  # docs/index.md is the start page
            continue
        (source / page).parent.mkdir(parents=True, exist_ok=True)
        text = links.rewritten(path.read_text(encoding="utf-8"), home, ROOT, source)
        (source / page).write_text(text, encoding="utf-8")
    lab_pages.write(ROOT, source, extra, repository)
    model_pages.write(ROOT, source, extra)
    experiment_pages.write(ROOT, source, extra)
    api_pages.write(source)


if __name__ == "__main__":
    sys.exit(main())
