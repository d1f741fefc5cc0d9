"""The comparison harness: grids of runs, fairly made, and what came of them.

from dlcourse import compare

study = compare.grid("results/init", model="mlp", data="mnist", init=["zeros", "xavier"],
                     optimizer=["sgd", "adam"], lr="auto", seeds=3)
print(compare.as_text(study))
compare.write_report(study)
"""

from dlcourse.compare.harness import grid
from dlcourse.compare.report import write_report
from dlcourse.compare.row import Row
from dlcourse.compare.study import Study, load
from dlcourse.compare.table import as_text, beside

__all__ = ["Row", "Study", "as_text", "beside", "grid", "load", "write_report"]
