"""Train the LSTM of lab 08 as `dlcourse run lab08 --full` does, without the other models.

    DLCOURSE_DATA=DIR python benchmarks/lab08_lstm.py     (half an hour on one core)

The cells, the loop and the perplexity come from the lab's solution. The test text is used once,
after the last epoch.
"""

from __future__ import annotations

import time

import torch
from common import parser, record

from dlcourse import course, data, models


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--epochs", type=int, default=14, help="default: %(default)s, as --full")
    args = made.parse_args()
    lab = course.load_script(course.find_lab("lab08").solution)
    text = data.load_text("ptb", offline=True)
    if text.synthetic:
        raise SystemExit("needs the real Penn Treebank in DLCOURSE_DATA")
    torch.manual_seed(0)
    train, val, test = (
        data.TextBatches(part, 20, 20, text.source, text.synthetic)
        for part in (text.train, text.val, text.test)
    )
    model = models.RecurrentLM(
        len(text.vocabulary), cell=lab.Cell, kind="lstm", tied=True, dropout=0.1
    )
    start = time.perf_counter()
    curve = lab.fit(model, train, val, args.epochs, 20.0)
    result = {
        "data": "Penn Treebank",
        "epochs": args.epochs,
        "threads": torch.get_num_threads(),
        "seconds": round(time.perf_counter() - start),
        "val_perplexity": [round(value, 2) for value in curve],
        "test_perplexity": round(lab.evaluate(model, test), 2),
        "n": 1,
    }
    record("lab08_lstm", result, args.out)


if __name__ == "__main__":
    main()
