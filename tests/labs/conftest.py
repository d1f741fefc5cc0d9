"""`pytest tests/labs`: the lab under test is the complete solution."""

import pytest

from dlcourse import course
from dlcourse.check.student import InProcessChannel, Student


@pytest.fixture(scope="module")
def channel(request):
    lab = course.find_lab(request.path.stem.removeprefix("test_"))
    return InProcessChannel(lab.solution, lab.name)


@pytest.fixture
def student(channel):
    return Student(channel)
