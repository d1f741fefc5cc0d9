"""Write the tables of benchmarks/README.md and README.md from the recorded results.

    python benchmarks/table.py            which of the two differ from the records (exit status 1)
    python benchmarks/table.py --write    write them again

A row names a record, results/<record>.json, and says what is measured. Its figure is a template
whose fields are paths in the record's result, such as {lenet5/test_accuracy/median:.2%}; {min PATH}
and {max PATH} are the smallest and the largest number if a * in PATH stands for any name. Where
arithmetic is needed the figure is a function of the result. A row without a record says so. If
results/<record>_gpu.json exists too, a row with its figure follows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import string
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MISSING = "not recorded yet"
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a table.

    figure: a template or a function of the record's result. command: a file of benchmarks/, with
        its arguments; None if it is <record>.py. front: whether the front README has the row too.
    before: (date, what to add), for a record that was made on that date or earlier.
    """

    what: str
    record: str
    figure: str | Callable[[Result], str]
    command: str | None = None
    front: bool = False
    before: tuple[str, str] | None = None


def seconds_of_the_example(result: Result) -> str:
    fast, example = result["mnist-fast"]["training_s"]["median"], result["example"]
    seconds = example["seconds_to_goal"]
    return f"{seconds:.0f} s; {seconds / fast:.0f} times as long (n = {example['n']})"


def seconds_of_gpt(result: Result) -> str:
    gpt, lstm = result["gpt"], result["lstm"]["seconds"]["median"]
    loss, seconds = gpt["val_loss"], gpt["seconds"]
    times = seconds / lstm
    return f"validation loss {loss:.3f} in {seconds:.1f} s, {times:.1f} times as long (n = 1)"


def speed_against_dataloader(result: Result) -> str:
    small, deep = (result[name] for name in ("lenet5, batch 512", "resnet20, batch 128"))
    fastest = deep["seconds"][deep["best_dataloader"]]["median"]
    compiled = fastest / deep["seconds"]["compiled"]["median"]
    times = [one["times_as_fast_as_the_dataloader"] for one in (small, deep)]
    return f"{times[0]:.2f}; {times[1]:.2f}; {compiled:.2f} times as fast"


def speed_of_settings(result: Result) -> str:
    small, deep = (result[name]["seconds"] for name in ("lenet5, batch 512", "resnet20, batch 128"))
    gains = [
        one[without]["median"] / one[with_it]["median"]
        for one, without, with_it in (
            (small, "freed_memory_not_kept", "by_itself"),
            (deep, "plain", "channels_last"),
            (deep, "by_itself", "compiled"),
        )
    ]
    return "; ".join(f"{gain:.2f}" for gain in gains) + " times as fast"


def speed_with_bf16(result: Result) -> str:
    gains = [
        result[name]["speed_against_plain"]["by_itself"]
        for name in ("lenet5, batch 512", "resnet20, batch 128")
    ]
    return f"{speed_of_settings(result)}; {gains[0]:.2f}; {gains[1]:.2f}"


def fastest_rival(result: Result) -> str:
    ours, theirs = [], []
    for size in ("batch 64", "batch 512"):
        speed = result[size]["speed_against_bare"]
        ours.append(speed["fit"])
        theirs.append(max(v for k, v in speed.items() if k not in ("bare", "fit", "fit_plain")))
    pairs = [", ".join(f"{speed:.2f}" for speed in speeds) for speeds in (ours, theirs)]
    return f"{'; '.join(pairs)} of its speed"


def caught_mutants(result: Result) -> str:
    labs = result.values()
    total = sum(lab["mutants"] for lab in labs)
    by_all, by_visible = (
        sum(lab[name] * lab["mutants"] for lab in labs) / total
        for name in ("caught", "caught_by_visible_tests")
    )
    refused, right = (
        sum(len(lab["refused"]) for lab in labs),
        sum(lab["right_answers"] for lab in labs),
    )
    caught = f"{by_all:.1%}; {by_visible:.1%} of {total:,} mutants of {len(labs)} labs"
    return f"{caught}; {refused} of {right}"


def parity(result: Result) -> str:
    return "; ".join(
        f"{one['difference_of_means']:+.3g} (spread {one['larger_standard_deviation']:.2g}), "
        f"{one['times_as_fast']:.2f} times as fast"
        for one in (result[name] for name in ("lenet5", "resnet20", "lstm", "autoencoder"))
    )


def speed_as_one(result: Result) -> str:
    def times(what: str) -> str:
        return "; ".join(f"{result[name][what]['times as fast']:.2f}" for name in ("sgd", "adam"))

    text = f"{times('as one')} times as fast"
    if "products alone" in result["sgd"]:
        text += f" ({times('products alone')} if nothing but the matrix products were computed)"
    return text


def names_that_answer(result: Result) -> str:
    labs = result["labs"]
    kinds = [kind for tasks in labs.values() for task in tasks.values() for kind in task.values()]
    forbidden = sum(kind == "forbidden" for kind in kinds)
    names = f"{len(kinds)} of {result['names_tried']:,}, {forbidden} of them forbidden"
    return f"{names}; {len(labs)} labs tried"


def outcomes(result: Result) -> str:
    seconds = [one["seconds"] for one in result.values()]
    came = sum(
        one["verdict"].startswith(("It came", "Expected outcome confirmed"))
        for one in result.values()
    )
    return f"{min(seconds):.0f} to {max(seconds):.0f} s; {came} of {len(seconds)}"


def problems_of_fuzzing(result: Result) -> str:
    tests, answers = result["tests"], result["answers_to_each"]
    return (
        f"{len(result['problems'])} of {tests * answers:,} ({answers:,} to each of {tests} tests)"
    )


def answers_of_runs(result: Result) -> str:
    counts = [lab["counts"] for lab in result.values()]
    numbers = [
        sum(one[name] for one in counts for name in names)
        for names in (
            ("a claim names it", "an error names it"),
            ("a claim names another task", "an error names another task or none"),
            ("all confirmed",),
            ("the same numbers",),
        )
    ]
    return "; ".join(map(str, numbers)) + f", of {sum(numbers)}"


def spread_of_mean(name: str) -> Callable[[Result], str]:
    """The figure of a recipe in the record of mnist_fast."""

    def figure(result: Result) -> str:
        one = result[name]
        mean, accuracy = one["mean_test_accuracy"], one["test_accuracy"]
        took, n = one["training_s"]["median"], accuracy["n"]
        return f"{mean:.2%} (lowest {accuracy['min']:.2%}) in {took:.2f} s (n = {n})"

    return figure


def cost_of(unit: str, *parts: str) -> Callable[[Result], str]:
    """The cost of the largest size in a record of common.cost_curve, or in each of its `parts`."""

    def figure(result: Result) -> str:
        said = []
        for part in parts or ("",):
            curve = result[part] if part else result
            largest = curve["rows"][-1]
            said.append(
                f"{part or 'largest'} {largest[unit]:,}: {largest['cpu_s']:.3g} s, "
                f"{largest['memory_mb']:.0f} MB; power {curve['exponent']}"
            )
        return "; ".join(said)

    return figure


def limits_of_scale(result: Result) -> str:
    constants = result["constants"]
    pickled = constants["pickling_of_task_s"] + constants["pickling_of_result_s"]
    parent = constants["plan_s"] + constants["hand_out_s"]["Dask"] + constants["record_s"]
    start, loading = constants["start_of_process_s"], constants["loading_data_s"]
    return f"{start:.1f} s; {loading:.1f} s; {1000 * pickled:.2f} ms; {1000 * parent:.1f} ms"


def cost_of_texts(result: Result) -> str:
    said = []
    for how, curve in result.items():
        largest = curve["rows"][-1]
        said.append(
            f"{how} {largest['megabytes']:,} MB: {largest['million_tokens_per_s']:.1f} million "
            f"tokens a second, memory {largest['memory_over_file']:.1f} times the file; power "
            f"{curve['exponent']}"
        )
    return "; ".join(said)


def seconds_of_an_epoch(result: Result) -> str:
    ends = [0.0, *(row["seconds"] for row in result["example"]["epochs"])]
    took = [after - before for before, after in itertools.pairwise(ends)]
    return f"{min(took):.1f} to {max(took):.1f} s"


LENET = "{lenet5/test_accuracy/median:.2%} ({lenet5/test_accuracy/min:.2%} to "
MLP = "{mlp/test_accuracy/median:.2%} ({mlp/test_accuracy/min:.2%} to "

TABLES: dict[str, list[Row]] = {
    "Data": [
        Row(
            "one epoch of LeNet-5, batch size 64, against the fastest DataLoader",
            "data_epoch",
            "{lenet5_batch_64/times_as_fast:.2f} times as fast",
        ),
        Row(
            "one epoch of an MLP, batch size 512, against the fastest DataLoader",
            "data_epoch",
            "{mlp_batch_512/times_as_fast:.1f} times as fast",
            front=True,
        ),
        Row(
            "random crop and flip of a batch, against transforms of each sample, CIFAR-10",
            "data_augment",
            "{times_as_fast:.1f} times as fast",
        ),
        Row(
            "time until data are ready: MNIST from IDX files; CIFAR-10 from `.npz`",
            "data_ready",
            "{mnist/seconds/median:.2f} s; {cifar10/seconds/median:.2f} s",
        ),
    ],
    "Cost against size": [
        Row(
            "import of a folder of images: processor time and memory for the largest number, and "
            "with which power of the number the time grows",
            "data_import",
            cost_of("images"),
        ),
        Row(
            "`load_text` by the size of the file, as above: words; characters; words from the kept "
            "numbers",
            "data_text_size",
            cost_of_texts,
            "data_text.py",
        ),
        Row(
            "checkpoints by million parameters, as above: write; read",
            "checkpoints",
            cost_of("million_parameters", "write", "read"),
        ),
        Row(
            "`dlcourse compare` by runs, without their training, as above: plan; resume at 90%; "
            "report",
            "compare_size",
            cost_of("runs", "plan", "resume", "report"),
        ),
        Row(
            "`dlcourse similar` by submissions, as above",
            "grade_similar",
            cost_of("submissions"),
        ),
        Row(
            "`dlcourse grade` by submissions of one task with one test, as above: the whole; going "
            "on at 90%",
            "grade_size",
            cost_of("submissions", "whole", "resume"),
        ),
        Row(
            "two workers against one: the share of twice the speed that a grid reaches with "
            "`--jobs 2` and with a Dask cluster, and grading with `--jobs 2`, once all workers "
            "have started; with their start",
            "scale_out",
            "{grid, jobs/efficiency}; {grid, Dask/efficiency}; {grading, jobs/efficiency}; "
            "{grid, jobs/efficiency_with_start}; {grid, Dask/efficiency_with_start}; "
            "{grading, jobs/efficiency_with_start} (runs of {seconds_of_run} s)",
        ),
        Row(
            "what more workers cost: start of a process; its data; pickling a task and its result; "
            "planning a run, handing it out on Dask and recording it, which one process does for "
            "all workers",
            "scale_out",
            limits_of_scale,
        ),
        Row(
            "estimate from these (a computation, see `estimate` in `benchmarks/scale_out.py`): "
            "100,000 runs on 100 workers",
            "scale_out",
            "{estimate/hours} hours, efficiency {estimate/efficiency}; one parent keeps at most "
            "{estimate/workers_kept_busy} workers busy with runs of {seconds_of_run} s",
        ),
    ],
    "Training": [
        Row(
            "`fit` against a bare loop, both without optional speed settings: LeNet-5, batch size "
            "64 and 512; MLP, batch size 64 and 512",
            "fit_overhead",
            "{lenet5, batch 64/speed_of_fit_plain_over_bare:.3f}, "
            "{lenet5, batch 512/speed_of_fit_plain_over_bare:.3f}; "
            "{mlp, batch 64/speed_of_fit_plain_over_bare:.3f}, "
            "{mlp, batch 512/speed_of_fit_plain_over_bare:.3f} of its speed",
        ),
        Row(
            "`fit` with its defaults (channels_last, fused Adam) against a bare loop: LeNet-5, "
            "batch size 64 and 512; MLP, batch size 64 and 512",
            "fit_overhead",
            "{lenet5, batch 64/speed_of_fit_over_bare:.2f}, "
            "{lenet5, batch 512/speed_of_fit_over_bare:.2f}; "
            "{mlp, batch 64/speed_of_fit_over_bare:.2f}, "
            "{mlp, batch 512/speed_of_fit_over_bare:.2f} of its speed",
        ),
        Row(
            "`fit` against torchvision's DataLoader: LeNet-5, batch size 512; ResNet-20, batch "
            "size 128, crops and flips; the same compiled",
            "speed",
            speed_against_dataloader,
        ),
        Row(
            "the same on a processor with bf16",
            "speed_bf16",
            speed_against_dataloader,
            "speed.py",
        ),
        Row(
            "what each setting adds: keeping freed memory (LeNet-5, batch size 512); channels_last "
            "(ResNet-20); `compile` in addition",
            "speed",
            speed_of_settings,
        ),
        Row(
            "the same on a processor with bf16, and all that `fit` does by itself against none of "
            "it: LeNet-5; ResNet-20",
            "speed_bf16",
            speed_with_bf16,
            "speed.py",
        ),
        Row(
            "two processes of `torchrun`, one thread each, against one process of two threads: "
            "LeNet-5, batch size 512; ResNet-20, batch size 128",
            "torchrun",
            "{lenet5/times_as_fast:.2f}; {resnet20/times_as_fast:.2f} times as many steps a second",
        ),
        Row(
            "MLP, batch size 64 and 512, against a bare loop: `fit`; the fastest other framework "
            "(of skorch, ignite, npfl138, Lightning, fastai)",
            "fit_rivals",
            fastest_rival,
            front=True,
        ),
        Row(
            "busy machine, two other processes on 2 cores: one epoch, relative to one thread; the "
            "same with torch's own setting",
            "busy",
            "{busy_epoch_over_one_thread/2 threads:.2f}; "
            "{busy_epoch_over_one_thread/2 threads, torch's default:.2f} times as long",
        ),
        Row(
            "bfloat16 against float32, 4 seeds each, difference of the means on validation data: "
            "LeNet-5 (accuracy); ResNet-20 on 8,000 images (accuracy); LSTM, 2 epochs (perplexity);"
            " autoencoder (squared error)",
            "bf16_parity",
            parity,
        ),
        Row(
            "LSTM with 10,000 words and exact softmax, against the usual loop",
            "lstm_softmax",
            "{times_as_fast:.2f} times as many tokens per second",
        ),
        Row(
            "LSTM language model against a bare `nn.LSTM` loop: 10,000 words; 50 words",
            "models_tokens",
            "{10000 words/course_over_bare:.3f}; {50 words/course_over_bare:.3f} of its tokens per "
            "second",
        ),
    ],
    "Recipes and models": [
        Row(
            "recipe `mnist-fast`, MNIST test images",
            "mnist_fast",
            spread_of_mean("mnist-fast"),
            front=True,
        ),
        Row(
            "PyTorch's MNIST example, until it reaches 99.0%: seconds; relative to `mnist-fast`",
            "mnist_fast",
            seconds_of_the_example,
            "mnist_fast.py --example",
        ),
        Row(
            "recipe `mnist-99.5`, MNIST test images",
            "mnist_fast",
            spread_of_mean("mnist-99.5"),
            "mnist_fast.py --recipe mnist-99.5 --seeds 5",
        ),
        Row(
            "one epoch of PyTorch's MNIST example",
            "mnist_fast",
            seconds_of_an_epoch,
            "mnist_fast.py --example",
        ),
        Row(
            "recipe `cifar10-fast`, test images",
            "recipe_cifar10-fast",
            "{test_accuracy/median:.1%} in {training_s/median:.0f} s (n = {test_accuracy/n})",
            "recipe.py cifar10-fast",
        ),
        Row(
            "recipe `cifar10-gpu`, test images; airbench94 on the same pixels",
            "cifar10_airbench",
            "{cifar10-gpu/test_accuracy/median:.1%} in {cifar10-gpu/seconds/median:.1f} s; "
            "{airbench94/test_accuracy/median:.1%} in {airbench94/seconds/median:.1f} s "
            "(n = {airbench94/seconds/n})",
            "cifar10_airbench.py FILE",
        ),
        Row(
            "recipe `cifar10-resnet20`, test images (published, on the pixels as they were: "
            "91.25%)",
            "recipe_cifar10-resnet20",
            "{test_accuracy/median:.1%} in {training_s/median:.0f} s (n = {test_accuracy/n})",
            "recipe.py cifar10-resnet20",
        ),
        Row(
            "recipe `char-gpt`, tiny Shakespeare, perplexity: validation; test (nanoGPT on both "
            "together: 6.55)",
            "recipe_char-gpt",
            "{val_perplexity/median:.2f}; {test_perplexity/median:.2f} in {training_s/median:.0f} "
            "s on {threads} core (n = {test_perplexity/n})",
            "recipe.py char-gpt",
        ),
        Row(
            "recipe `ptb-lstm100`, Penn Treebank, test perplexity (published: 115)",
            "recipe_ptb-lstm100",
            "{test_perplexity/median:.1f} in {training_s/median:.0f} s on {threads} core "
            "(n = {test_perplexity/n})",
            "recipe.py ptb-lstm100",
        ),
        Row(
            "`char-lstm`, tiny Shakespeare",
            "char_lstm",
            "validation loss {lstm/val_loss/median:.3f} ({lstm/val_loss/min:.3f} to "
            "{lstm/val_loss/max:.3f}) in {lstm/seconds/median:.1f} s (n = {lstm/val_loss/n})",
        ),
        Row(
            "nanoGPT's settings for a CPU, same text and protocol",
            "char_lstm",
            seconds_of_gpt,
            "char_lstm.py --gpt",
        ),
        Row(
            "nanoGPT's baby configuration, same text (published: 1.4697)",
            "baby_gpt",
            "validation loss {val_loss:.4f} in {seconds} s (n = {n})",
        ),
        Row(
            "100 hidden units, Penn Treebank, test perplexity: LSTM; SCRN; Elman (published: 115; "
            "115; 129)",
            "models_ptb",
            "{lstm/test_perplexity}; {scrn/test_perplexity}; {elman/test_perplexity} "
            "(n = {lstm/n})",
            "models_ptb.py --cell lstm`, `scrn`, `elman",
        ),
        Row(
            "the LSTM of lab08 at full size, Penn Treebank, test perplexity",
            "lab08_lstm",
            "{test_perplexity} (n = {n})",
        ),
        Row(
            "deep autoencoder, 30 numbers, squared error of an MNIST test image; PCA",
            "models_autoencoder",
            "{autoencoder_30/median:.3f}; {pca_30:.2f} (n = {autoencoder_30/n})",
            "models_autoencoder.py --seeds 1",
        ),
        Row(
            "DCGAN on MNIST, judged by a LeNet-5: share of the rarest digit; mean confidence",
            "models_gan",
            "{least_share/median:.1%} (lowest {least_share/min:.1%}); {mean_confidence/median:.3f} "
            "(lowest {mean_confidence/min:.3f}) (n = {least_share/n})",
        ),
        Row(
            "LeNet-5 on MNIST, test images",
            "mnist",
            LENET + "{lenet5/test_accuracy/max:.2%}) in {lenet5/training_s/median:.0f} s of "
            "training (n = {lenet5/test_accuracy/n})",
        ),
        Row(
            "MLP 784-512-10 on MNIST, test images",
            "mnist",
            MLP + "{mlp/test_accuracy/max:.2%}) in {mlp/training_s/median:.0f} s of training "
            "(n = {mlp/test_accuracy/n})",
        ),
        Row(
            "the same two on the synthetic digits: LeNet-5; MLP",
            "mnist_synthetic",
            "{lenet5/test_accuracy/median:.1%}; {mlp/test_accuracy/median:.1%} "
            "(n = {mlp/test_accuracy/n})",
            "mnist.py --synthetic",
        ),
    ],
    "Comparison": [
        Row(
            "16 MLPs as one model, against one after another: SGD; Adam",
            "compare_batched",
            speed_as_one,
        ),
        Row(
            "16 MLPs as one compiled model, against one after another: SGD; Adam",
            "compare_batched",
            "{sgd/compiled/times as fast:.2f}; {adam/compiled/times as fast:.2f} times as fast",
            front=True,
        ),
        Row(
            "overhead of the comparison harness over `fit` in a loop",
            "compare_overhead",
            "{overhead in percent}%, runs of {seconds a run:.1f} s",
        ),
        Row(
            "grid of 5 initializers, 8 optimizers and 3 seeds, `--tiny`, with searched learning "
            "rates",
            "compare_grid",
            "{seconds/median:.0f} s for {runs} runs and {runs of the search} of the search "
            "(n = {seconds/n})",
        ),
        Row(
            "the experiments of the lectures, `--tiny`: seconds for each; expected outcomes that "
            "appeared",
            "compare_experiments",
            outcomes,
            before=("2026-11-21", "under the rule of version 0.1.0, which ignored the spread"),
        ),
        Row(
            "the same at full size, depth at a smaller one",
            "compare_experiments_full",
            outcomes,
            "compare_experiments.py --full",
        ),
    ],
    "Checking and grading": [
        Row(
            "submissions per minute, against gradescope-utils; against otter run",
            "grade_rivals",
            "{times_faster_than/gradescope-utils:.0f}; {times_faster_than/otter run:.0f} times as "
            "many",
            front=True,
        ),
        Row(
            "a class of submissions, 10 % hostile, the grader killed twice and started again: "
            "submissions a minute; memory of the parent",
            "grade_batch",
            "{submissions} submissions: {submissions_a_minute} a minute; {parent_peak_mb} MB; "
            "{graded_twice} graded twice",
        ),
        Row(
            "wrong answers that the labs' tests catch: all tests; the visible tests alone; right "
            "answers of another shape that they refuse",
            "grade_mutants",
            caught_mutants,
        ),
        Row(
            "a beginner's mistake in one task that was not checked, each task in turn: "
            "`dlcourse run LAB --tiny` names the task; another one or none; confirms all claims; "
            "prints the same numbers",
            "run_mistakes",
            answers_of_runs,
        ),
        Row(
            "generated answers to the labs' tests that stop the grader",
            "grade_fuzz",
            problems_of_fuzzing,
            "grade_fuzz.py",
        ),
        Row(
            "over the labs: `dlcourse check` of the solution; `dlcourse run --tiny`",
            "labs_quick",
            "{min */check} to {max */check} s; {min */run --tiny} to {max */run --tiny} s",
        ),
        Row(
            "40 submissions with 21 oddities in five layouts: rows; students whose grade differs "
            "between layouts",
            "grade_class",
            "{min layouts/*/rows} to {max layouts/*/rows}; {max grades_that_differ/*}",
        ),
        Row(
            "`dlcourse check LAB --watch`, from a save to the verdict on the task that changed, "
            "20 saves: medians of the labs; worst",
            "check_watch",
            "{min labs/*/median_s} to {max labs/*/median_s} s; {max labs/*/worst_s} s",
        ),
        Row(
            "`dlcourse check lab05` of a solved lab in a student's bundle; `import torch` alone",
            "grade_check",
            "{seconds/check/median:.1f} s; {seconds/import torch/median:.1f} s",
        ),
        Row(
            "names of torch, torchvision and dlcourse that answer a task when put in its place",
            "answers",
            names_that_answer,
        ),
    ],
}


class Fields(string.Formatter):
    """Fills a figure's template: a field is a path in the record's result."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Any) -> tuple[Any, str]:
        how, _, path = field_name.partition(" ")
        if how in ("min", "max"):
            return {"min": min, "max": max}[how](found(kwargs, path)), ""
        (value,) = found(kwargs, field_name)
        return value, ""


def found(result: Any, path: str) -> list[Any]:
    """What is at `path` in `result`; a * stands for each name, or each item of a list.

    Raises KeyError if nothing is there.
    """
    values = [result]
    for name in path.split("/"):
        if name == "*":
            inner = [value.values() if isinstance(value, dict) else value for value in values]
            values = [one for many in inner for one in many]
        else:
            values = [value[name] for value in values]
    if not values:
        raise KeyError(path)
    return values


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """All records in `folder`, by name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def gpu(name: str, record: Mapping[str, Any]) -> str:
    """The GPU that a record was measured on, or "" if it was measured on a CPU."""
    device = record.get("device", record["result"].get("device", ""))
    if not name.endswith("_gpu") and (not device or str(device).startswith("cpu")):
        return ""
    return record["versions"].get("gpu", "GPU")


def machine(name: str, record: Mapping[str, Any]) -> str:
    """The machine of a record, shortly: NVIDIA H100, or AMD EPYC, 2 cores."""
    hardware = record["hardware"]
    if on := gpu(name, record):
        return re.sub(r"\s+(\d+GB|HBM\d\w*|PCIe|SXM\d).*", "", on)
    cpu = re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@.*", "", hardware["cpu"])
    return f"{' '.join(cpu.split())}, {hardware['cores']} cores"


def figure_of(row: Row, record: Mapping[str, Any]) -> str:
    """The figure of a row. Raises ValueError, which names the row, if the record lacks a field."""
    result = record["result"]
    try:
        text = (
            Fields().vformat(row.figure, (), result)
            if isinstance(row.figure, str)
            else row.figure(result)
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"the record {row.record!r} has no field {error} for the row {row.what!r}; "
            "change its figure in benchmarks/table.py"
        ) from error
    if row.before and record["date"] <= row.before[0]:
        text += f" ({row.before[1]})"
    return text


def lines_of(rows: Sequence[Row], records: Mapping[str, Any], commands: bool = True) -> list[str]:
    """A table in Markdown. It has a column of machines if all records together have several."""
    several = len({machine(name, record) for name, record in records.items()}) > 1
    head = ["what", "result", *["machine"] * several, *["command"] * commands]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        names = [name for name in (row.record, f"{row.record}_gpu") if name in records]
        for name in names or [""]:
            record = records.get(name)
            cells = [row.what, MISSING if record is None else figure_of(row, record)]
            cells += [machine(name, record) if record else ""] * several
            cells += [f"`benchmarks/{row.command or row.record + '.py'}`"] * commands
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def where(records: Mapping[str, Any]) -> list[str]:
    """The sentences about the machines."""
    machines = sorted({machine(name, record) for name, record in records.items()})
    gpus = sorted({on for name, record in records.items() if (on := gpu(name, record))})
    said = f"Measured on: {'; '.join(machines)}. "
    if gpus:
        said += "A row that names a GPU was measured on it, all others on a CPU."
    else:
        said += "All figures were measured on a CPU; none was measured on a GPU yet."
    return textwrap.wrap(said, 100)


def tables(records: Mapping[str, Any]) -> dict[Path, dict[str, list[str]]]:
    """The generated parts of each document, by the name of the part."""
    front = [row for rows in TABLES.values() for row in rows if row.front]
    return {
        ROOT / "benchmarks" / "README.md": {"machines": where(records)}
        | {name: lines_of(rows, records) for name, rows in TABLES.items()},
        ROOT / "README.md": {"benchmarks": lines_of(front, records, commands=False)},
    }


def filled(text: str, parts: Mapping[str, Sequence[str]]) -> str:
    """`text` with each part between its two marks.

    Raises ValueError if the marks of a part are not there.
    """
    for name, lines in parts.items():
        start, end = f"<!-- generated: {name} -->", "<!-- end -->"
        before, mark, rest = text.partition(start)
        _, stop, after = rest.partition(end)
        if not (mark and stop):
            raise ValueError(f"no lines {start} and {end}")
        text = "\n".join([before + start, "", *lines, "", end + after])
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the tables")
    args = parser.parse_args()
    differ = []
    for path, parts in tables(load(RESULTS)).items():
        text = path.read_text(encoding="utf-8")
        new = filled(text, parts)
        if new != text:
            differ.append(path.relative_to(ROOT).as_posix())
        if args.write:
            path.write_text(new, encoding="utf-8", newline="\n")
    for name in differ:
        print(f"{name}: {'written' if args.write else 'differs from the records; use --write'}")
    return int(bool(differ) and not args.write)


if __name__ == "__main__":
    sys.exit(main())
