#!/usr/bin/env bash
# Builds Gradescope's image. It stops with one line if nothing could be graded in it.
set -e
course=/autograder/source/course
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "$(python3 --version) is too old: choose Ubuntu 22.04 or newer as the base image" >&2
    exit 1
fi
apt-get update && apt-get install -y python3-venv
python3 -m venv /autograder/venv
pinned=()
# The tested versions are those for Python 3.11 and newer.
if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    pinned=(--constraint $course/constraints.txt)
fi
# The wheels for the CPU: about 200 MB instead of 5.5 GB with CUDA.
/autograder/venv/bin/pip install torch torchvision \
    --index-url https://download.pytorch.org/whl/cpu "${pinned[@]}"
/autograder/venv/bin/pip install $course "${pinned[@]}"
/autograder/venv/bin/python -m dlcourse.grade.image
