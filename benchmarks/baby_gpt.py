"""Train nanoGPT's baby configuration as `dlcourse run lab14 --full` does on a GPU.

    DLCOURSE_DATA=DIR python benchmarks/baby_gpt.py     (3 minutes on an NVIDIA H200)

The loop comes from the lab's solution. The step is chosen on the first half of nanoGPT's validation
text; the loss is that of the whole.
"""

from __future__ import annotations

import time

import torch
from common import parser, record

from dlcourse import course, data


def main() -> None:
    args = parser(__doc__).parse_args()
    lab = course.load_script(course.find_lab("lab14").solution)
    text = data.load_text("tinyshakespeare", offline=True)
    if text.synthetic:
        raise SystemExit("needs the real text in DLCOURSE_DATA")
    start = time.perf_counter()
    loss = lab.train_baby(text, torch.device("cuda"))
    result = {
        "data": "tiny Shakespeare",
        "device": torch.cuda.get_device_name(),
        "val_loss": round(loss, 4),
        "seconds": round(time.perf_counter() - start),
        "n": 1,
    }
    record("baby_gpt", result, args.out)


if __name__ == "__main__":
    main()
