"""The skeleton of a new lab: solution, tests, alternative right answers, and student version.

The skeleton holds one worked task, so that `dlcourse check`, `run` and `labs --write` work on it
before its author has written a line. docs/add-a-lab.md says what to do next.
"""

from __future__ import annotations

import re
from pathlib import Path

from dlcourse.course import Lab, labs
from dlcourse.errors import UsageError
from dlcourse.grade import student_version

__all__ = ["create"]

NAME = re.compile(r"lab(?P<number>\d\d)_[a-z][a-z0-9]*(?:_[a-z0-9]+)*")

# In these texts, labNN_topic, labNN, "NN." and "Lab NN" stand for the lab's name and number.
SOLUTION = '''# %% [markdown]
"""Lab NN: TOPIC.

Write here the question that the lab answers, in one sentence.

You write the measure by which a classifier is judged. The experiment then trains a linear
classifier on MNIST and measures it.

Lecture sections: none yet.

    dlcourse check labNN              what is right so far, in seconds
    dlcourse run labNN --tiny         the whole experiment on 2,000 images, in seconds
    dlcourse run labNN                the whole experiment

A recorded run of the solution (`dlcourse run labNN`, real MNIST):

    data: MNIST from datasets/MNIST/raw; 54,000 training images
    accuracy: val 91.58%, test 91.82%
    figures: results/labNN

Over 3 seeds (mean, standard deviation, how many seeds agree):
"""

# %%
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlcourse import data, lab, models, plots
from dlcourse.train import fit

# %% [markdown]
# ## 1. The measure
# Explain here what the student needs to know for the first task.


# %%
def accuracy(logits: Tensor, targets: Tensor) -> float:
    """The share of samples whose largest logit is the one of the right class, from 0 to 1.

    Shape: logits (N, C), targets int64 (N,).

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    # Task NN.1 (1 point). Hint: argmax over the classes, then compare with the targets.
    # BEGIN SOLUTION
    return (logits.argmax(dim=1) == targets).float().mean().item()
    # END SOLUTION


# %% [markdown]
# ## 2. The experiment
# Say here what is compared with what, and on which data.
#
# **Predict before you run it.** Ask here what the experiment will show.
#
# *Your prediction:*


# %%
@torch.inference_mode()
def predict(model: torch.nn.Module, batches: data.Batches) -> tuple[Tensor, Tensor]:
    """The logits (N, C) and the targets (N,) of every image, on the CPU."""
    model.eval()
    pairs = [(model(inputs), targets) for inputs, targets in batches]
    logits, targets = zip(*pairs, strict=True)
    return torch.cat(logits).cpu(), torch.cat(targets).cpu()


def main(argv: Sequence[str] | None = None) -> None:
    args = lab.parse_flags("labNN", __doc__, argv, epochs=3, full_epochs=20)
    mnist = data.load("mnist", args.data_dir, offline=args.offline)
    train, val, test = mnist.batches(
        batch_size=64, seed=args.seed, device=args.device, limit=args.limit
    )
    print(f"data: {mnist.source}; {train.num_samples:,} training images")

    model = models.build("logistic_regression")
    history = fit(model, train, val, epochs=args.epochs, seed=args.seed, device=args.device)
    logits, targets = predict(model, test)
    val_accuracy = accuracy(*predict(model, val))
    print(f"accuracy: val {val_accuracy:.2%}, test {accuracy(logits, targets):.2%}")

    args.findings.claim(
        "test accuracy: better than chance", accuracy(logits, targets), ">", 0.1, ".2%", task="NN.1"
    )
    if args.plot:
        plots.learning_curves(history, args.out / "learning_curves.png")
        plots.confusion_matrix(
            logits.argmax(dim=1), targets, mnist.class_names, args.out / "confusion.png"
        )
        print(f"figures: {args.out}")
    args.findings.report()


if __name__ == "__main__":
    lab.script(main)

# %% [markdown]
# ## Questions to think about
# **1.** Ask here a question that the experiment answers.
#
# *Your answer:*
#
# <details><summary>An answer to compare with yours</summary>
#
# Write the answer here. A notebook shows it when the student unfolds it.
# </details>
#
# ## What you have seen
# Say here in a few sentences what the numbers have shown.
'''

TESTS = '''"""Tests of lab NN, with their points. `student` is the file under test.

The oracles are numbers worked out by hand.
"""

import torch

from dlcourse.check import points


@points(0.5, task="NN.1", hint="work the docstring's example out with pencil and paper")
def test_accuracy_of_two_samples(student):
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    assert student.accuracy(logits, torch.tensor([0, 1])) == 1.0
    assert student.accuracy(logits, torch.tensor([0, 0])) == 0.5


@points(0.5, task="NN.1", hint="each row holds the logits of one sample", hidden=True)
def test_accuracy_of_more_classes_than_samples(student):
    logits = torch.tensor([[0.0, 5.0, 1.0, 4.0], [-1.0, -3.0, -2.0, -4.0], [0.0, 0.0, 0.0, 9.0]])
    for targets, right in [([1, 0, 3], 3), ([1, 0, 0], 2), ([3, 3, 3], 1), ([0, 1, 2], 0)]:
        assert abs(student.accuracy(logits, torch.tensor(targets)) - right / 3) < 1e-6
'''

ALTERNATIVES = '''"""Right answers to lab NN that are written in another way than the solution's."""

IMPORTS = "import torch\\n"

ALTERNATIVES = {
    "NN.1 by sorting": """
def accuracy(logits, targets):
    best = logits.sort(dim=1).indices[:, -1]
    return float((best == targets).sum()) / len(targets)
""",
    "NN.1 by comparing with the largest": """
def accuracy(logits, targets):
    own = logits.gather(1, targets[:, None])[:, 0]
    return ((own >= logits.amax(dim=1)).sum() / targets.numel()).item()
""",
    "NN.1 by lists": """
def accuracy(logits, targets):
    best = [row.index(max(row)) for row in logits.tolist()]
    return sum(a == b for a, b in zip(best, targets.tolist())) / len(best)
""",
    "NN.1 by a loop": """
def accuracy(logits, targets):
    right = 0
    for row, target in zip(logits, targets):
        right += int(row.argmax() == target)
    return right / len(targets)
""",
    "NN.1 by gathering": """
def accuracy(logits, targets):
    of_target = logits.gather(1, targets[:, None]).squeeze(1)
    return torch.mean((of_target == logits.amax(1)).double()).item()
""",
}

# Mutants that no test can catch, because they compute the same; each with its reason.
SURVIVORS = {}
'''


def create(name: str, root: Path) -> list[Path]:
    """Write the skeleton of the lab called `name`, such as "lab16_transformers", to the course at
    `root`; return the files.

    Raises UsageError for a name of another form, for a number that is taken, and for a file that
    exists; then nothing is written.
    """
    if not (match := NAME.fullmatch(name)):
        raise UsageError(
            f"lab name {name!r} is not valid; expected lab, two digits, an underscore and a topic "
            "in lower-case letters, such as lab16_transformers"
        )
    if not (root / "solutions").is_dir():
        raise UsageError(
            f"{root} has no folder solutions/; a new lab needs the instructor's whole course"
        )
    new = Lab(name, root)
    for taken in labs(root):
        if taken.short == new.short:
            raise UsageError(
                f"{new.short} exists already as {taken.name}; choose another number for {name!r}"
            )
    texts = {
        new.solution: SOLUTION,
        new.tests: TESTS,
        root / "tests" / "support" / f"alternatives_{new.short}.py": ALTERNATIVES,
    }
    if there := [path for path in texts if path.exists()]:
        raise UsageError(f"{there[0]} exists already; move it away or choose another name")
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill_in(text, name, match["number"]), encoding="utf-8", newline="\n")
        return [*texts, *student_version.write([new])]
    except OSError as error:
        raise UsageError(f"cannot write the new lab: {error}") from None


def fill_in(text: str, name: str, number: str) -> str:
    topic = name.partition("_")[2].replace("_", " ")
    text = text.replace("labNN_topic", name).replace("labNN", f"lab{number}")
    text = text.replace("Lab NN", f"Lab {number}").replace("lab NN", f"lab {number}")
    return text.replace("TOPIC", topic).replace("NN.1", f"{int(number)}.1")
