"""Folders as schools export them, with what real students put into them.

Each function writes one folder of submissions to the made-up lab of `support.tiny` and names what
is right in its own words; the tests say which rows it must give.
"""

import io
import json
import warnings
import zipfile

from support import tiny

LAB = "lab90_sums"
ANSWER = tiny.SOLUTION.encode()


def put(folder, files):
    """Write {path: bytes or text} below `folder`; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def zipped(files):
    """The bytes of a zip of {name: text}, or of a list of pairs, where names may repeat."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # zipfile's own, about a name that repeats
        for name, text in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, text)
    return buffer.getvalue()


def notebook(*cells, **more):
    """A notebook's JSON with these code cells, after a text cell."""
    made = [{"cell_type": "markdown", "metadata": {}, "source": ["# title"]}]
    made += [{"cell_type": "code", "metadata": {}, "outputs": [], "source": cell} for cell in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more})


CASES = {
    "canvas_endings": {
        f"a_10001_501_{LAB}.py": ANSWER,
        f"b_10002_502_{LAB}.ipynb": notebook(tiny.SOLUTION),
        f"c_10003_503_{LAB}.PY": ANSWER,
        f"d_10004_504_{LAB}.py.txt": ANSWER,
        "e_10005_505_work.tar.gz": b"\x1f\x8b",
        "f_10006_506_work.ZIP": zipped({f"work/{LAB}.py": ANSWER}),
        f"g_h_LATE_10007_507_{LAB}.py": ANSWER,
        "i_10008_text.html": "<p>see my mail</p>",
    },
    "canvas_two_files": {
        f"a_10001_1000_{LAB}.py": ANSWER,
        f"a_10001_1001_test_{LAB}.py": "def test_nothing(): pass\n",
    },
    "canvas_two_attempts": {
        f"a_10001_999_{LAB}.py": "# the first\n",
        f"a_10001_1001_{LAB}-1.py": ANSWER,
    },
    "canvas_anonymous": {
        f"anon_k3XyZ_9009_{LAB}.py": ANSWER,
        f"LATE_anon_Qw8rt_9010_{LAB}.py": ANSWER,
    },
    "moodle": {
        f"Student A_10001_assignsubmission_file_/{LAB}.py": ANSWER,
        "Student A_10001_assignsubmission_onlinetext_/onlinetext.html": "<p>see file</p>",
        "Jörg Ü_10002_assignsubmission_onlinetext_/onlinetext.html": "<p>my code</p>",
        f"Participant_10003_assignsubmission_file/{LAB}.py": ANSWER,
        f"Student A_10004_assignsubmission_file_{LAB}.py": ANSWER,
    },
    "gradescope": {
        f"submission_3001/{LAB}.py": ANSWER,
        f"submission_3002/{LAB}.py": ANSWER,
        "submission_metadata.yml": "---\nsubmission_3001:\n  :submitters:\n"
        "  - :name: Student A\n    :sid: '0010001'\n    :email: a@example.org\n"
        "  - :name: \"J\\xF6rg \\u00DC\"\n    :sid: '0010002'\n    :email: b@example.org\n"
        "  :results:\n    :tests:\n    - :name: not a student\n"
        "submission_3003:\n  :submitters:\n  - :name: Student C\n    :sid: \n    :email: c@x.org\n",
    },
    "blackboard": {
        f"Lab05_a_b_attempt_2026-03-01-10-00-00_{LAB}.py": "# old\n",
        f"Lab05_a_b_attempt_2026-03-02-10-00-00_{LAB}.py": ANSWER,
        "Lab05_a_b_attempt_2026-03-02-10-00-00.txt": "Name: Student A (a_b)\nAssignment: Lab\n",
        f"Lab05_c_b_attempt_2026-03-01-10-00-00_{LAB}.py": ANSWER,
        "Lab05_c_b_attempt_2026-03-03-10-00-00.txt": "Name: Student C (c_b)\n",
    },
    "wrapped": {
        f"download/a_10001_501_{LAB}.py": ANSWER,
        f"download/b_10002_502_{LAB}.py": ANSWER,
        "__MACOSX/x": "",
    },
    "folders": {
        f"ada/work/{LAB}.py": f"from utils import helper\n{tiny.SOLUTION}",
        "ada/work/utils.py": "helper = 1\n",
        "ada/.venv/lib/m.py": "",
        "ada/env/pyvenv.cfg": "",
        f"ada/env/{LAB}.py": "",
        f"ada/__pycache__/{LAB}.py": "",
        "bob/mine.py": ANSWER,
        "cyd/one.py": ANSWER,
        "cyd/two.py": ANSWER,
        "dan/report.pdf": b"%PDF",
        f"eve/{LAB}.py": ANSWER,
        f"Eve/{LAB}.py": ANSWER,
        "fay.rar": b"Rar!",
        "notes.txt": "my own notes",
        ".DS_Store": b"",
        "gus.zip": zipped([(f"{LAB}.py", "a"), (f"{LAB}.py", "b")]),
        "hal/broken.zip": b"PK",
        f"hal/{LAB}.py": ANSWER,
        "ida.zip": zipped({f"venv/{number}.py": "" for number in range(2100)} | {"x.py": ANSWER}),
    },
    "contents": {
        "utf16.py": tiny.SOLUTION.encode("utf-16"),
        "utf16le.py": tiny.SOLUTION.encode("utf-16-le"),
        "latin1.py": "# Jörg\n".encode("latin-1") + ANSWER,
        "declared.py": "# coding: latin-1\n# Jörg\n".encode("latin-1") + ANSWER,
        "marked.py": b"\xef\xbb\xbf" + ANSWER,
        "nul.py": ANSWER.replace(b"torch", b"to\0rch", 1),
        "empty.py": " \n",
        "notebook.py": notebook("x = 1"),
        "magic.ipynb": notebook("%matplotlib inline\n!pip install x\nx = (5\n% 3)", "%%bash\nls"),
        "nothing.ipynb": notebook(),
        "cell.ipynb": notebook("x = 1", "def f(:\n    pass"),
        "torn.ipynb": notebook("x = 1")[:-5],
        "other.ipynb": notebook("x <- 1", metadata={"kernelspec": {"language": "R"}}),
    },
}


def make(folder, case):
    """Write the folder called `case`; return its path."""
    return put(folder / case, CASES[case])
