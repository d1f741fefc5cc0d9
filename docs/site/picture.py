"""Draw docs/picture.png: what `dlcourse check` says of a mistake, and four figures of the labs.

python docs/site/picture.py    (needs chromium)
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 1200, 560
FIGURES = ("lab13_double_descent", "lab03_ravine", "lab10_map", "lab04_signal")
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 20px; width: 1160px; height: 520px; display: grid; gap: 16px;
  grid-template-columns: 1.75fr 1fr 1fr; grid-template-rows: 1fr 1fr; background: #eef2f6; }}
pre {{ margin: 0; grid-row: 1 / 3; background: #10202e; color: #e6edf3; padding: 18px;
  font: 12px/1.5 "DejaVu Sans Mono", monospace; border-radius: 8px; white-space: pre-wrap;
  overflow: hidden; }}
div {{ background: white; border-radius: 8px; padding: 8px; min-height: 0; display: grid;
  place-items: center; }}
img {{ max-width: 100%; max-height: 230px; }}
</style><pre>{terminal}</pre>{figures}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        solution = (ROOT / "solutions" / "lab05_convnets.py").read_text(encoding="utf-8")
        mistake = folder / "lab05_convnets.py"
        mistake.write_text(with_mistake(solution), encoding="utf-8")
        command = ["dlcourse", "check", "lab05"]
        checked = subprocess.run(
            [sys.executable, "-m", *command, "--file", str(mistake)],
            capture_output=True, text=True, check=False, cwd=ROOT,
            env=os.environ | {"COLUMNS": "66"},
        ).stdout  # fmt: skip
        page = folder / "page.html"
        terminal = html.escape(f"$ {' '.join(command)}\n\n{checked}")
        figures = "".join(
            f'<div><img src="{(ROOT / "handouts" / figure).as_uri()}.png"></div>'
            for figure in FIGURES
        )
        page.write_text(PAGE.format(terminal=terminal, figures=figures), encoding="utf-8")
        shot = folder / "shot.png"
        subprocess.run(
            [
                shutil.which("chromium") or "chromium", "--headless", "--no-sandbox",
                "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--hide-scrollbars",
                f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}", page.as_uri(),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        with Image.open(shot) as image:
            image.convert("RGB").quantize(128).save(ROOT / "docs" / "picture.png", optimize=True)


def with_mistake(solution: str) -> str:
    before, marker, after = solution.partition("# Task 5.3")
    block, end, rest = after.partition("# END SOLUTION")
    if ".amax(" not in block:
        raise SystemExit("the answer to task 5.3 has changed; plant another mistake here")
    return before + marker + block.replace(".amax(", ".mean(") + end + rest


if __name__ == "__main__":
    main()
