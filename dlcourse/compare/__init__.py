"""Compare models, optimizers and settings fairly: grids of runs and their results.

from dlcourse import compare

study = compare.grid("results/init", model="mlp", data="mnist", init=["zeros", "xavier"],
                     optimizer=["sgd", "adam"], lr="auto", seeds=3)
print(compare.as_text(study))
compare.write_report(study)
"""

from dlcourse.compare.grid import grid
from dlcourse.compare.report import write_report
from dlcourse.compare.result import Result
from dlcourse.compare.settings import Environment
from dlcourse.compare.study import Study, load
from dlcourse.compare.table import as_text, beside

__all__ = [
    "Environment", "Result", "Study", "as_text", "beside", "grid", "load", "write_report",
]  # fmt: skip
