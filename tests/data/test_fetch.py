"""Fetching, against a small server of the tests' own on the loopback interface."""

import gzip
import hashlib
import http.server
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests
import torch

from dlcourse import data
from dlcourse.data import fetch, store
from dlcourse.data.catalog import CATALOG, DataSet, RemoteFile
from dlcourse.data.fetch import fetch_file
from dlcourse.errors import DataError

CONTENT = bytes(range(256)) * 4000  # about 1 MB


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /whole, /half, /html, /wrong, /slow and /file/NAME; anything else is 404."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        what = self.path.strip("/")
        if what.startswith("file/"):
            return self.answer(self.server.files[what.removeprefix("file/")])
        if what == "slow":
            time.sleep(0.5)
        if what in ("whole", "slow"):
            return self.answer(CONTENT)
        if what == "half":
            return self.answer(CONTENT, send=len(CONTENT) // 2)
        if what == "wrong":
            return self.answer(b"x" * 1000)
        if what == "html":
            return self.answer(b"<html>sorry</html>", kind="text/html")
        if what == "nothing":
            return self.close_connection
        self.send_error(404)

    def answer(self, content, send=None, kind="application/octet-stream"):
        start = 0
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:send])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.asked, made.files = [], {}
        made.url = f"http://127.0.0.1:{made.server_port}"
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def remote(server, *paths):
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    urls = tuple(f"{server.url}/{path}" for path in paths)
    return RemoteFile("toy/file.bin", f"sha256:{sha256}", urls)


@pytest.mark.parametrize("bad", ["404", "html", "half", "wrong", "nothing"])
def test_a_bad_mirror_is_passed_over(server, tmp_path, bad):
    path = fetch_file(remote(server, bad, "whole"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


WHY = {
    "404": "HTTP status 404",
    "html": "it answered with an HTML page, not the file",
    "half": "the transfer broke off",
    "wrong": "its content has a wrong hash",
    "nothing": "no connection",
}


@pytest.mark.parametrize("bad", WHY)
def test_when_every_mirror_fails_each_is_named_and_nothing_is_taken_for_whole(
    server, tmp_path, bad
):
    file = remote(server, bad)
    with pytest.raises(DataError, match=rf"cannot fetch file\.bin .*/{bad}: {WHY[bad]}"):
        fetch_file(file, tmp_path)
    assert not (tmp_path / file.path).exists()


def test_a_broken_transfer_resumes_where_it_ended(server, tmp_path):
    with pytest.raises(DataError):
        fetch_file(remote(server, "half"), tmp_path)
    assert fetch_file(remote(server, "whole"), tmp_path).read_bytes() == CONTENT
    path, asked = server.asked[-1]
    # What came in the last, torn block is asked for again.
    assert 0.4 * len(CONTENT) < int(asked.removeprefix("bytes=").rstrip("-")) < len(CONTENT)
    assert path == "/whole"


@pytest.mark.parametrize("left", [b"garbage", CONTENT + b"too long"])
def test_a_spoiled_part_is_thrown_away(server, tmp_path, left):
    part = tmp_path / "toy" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(left)
    assert fetch_file(remote(server, "whole"), tmp_path).read_bytes() == CONTENT


def test_a_whole_file_is_not_fetched_again_and_a_damaged_one_is(server, tmp_path):
    file = remote(server, "whole")
    path = fetch_file(file, tmp_path)
    fetch_file(file, tmp_path)
    assert len(server.asked) == 1
    path.write_bytes(CONTENT[:-1])
    assert fetch_file(file, tmp_path).read_bytes() == CONTENT


def test_a_disk_that_is_full_is_said(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.os, "replace", full)
    with pytest.raises(DataError, match="No space left on device; make room, or name another"):
        fetch_file(remote(server, "whole"), tmp_path)


def test_two_processes_fetch_once(server, tmp_path):
    code = (
        "import sys; from dlcourse.data import store; from dlcourse.data.catalog import *\n"
        "_, url, hash, folder = sys.argv\n"
        "file = RemoteFile('toy/file.bin', hash, (url,))\n"
        "CATALOG['toy'] = DataSet('toy', 'Toy', 'text', '', '', '', (file,), 'grammar')\n"
        "print(store.get('toy', folder))"
    )
    file = remote(server, "slow")
    command = [sys.executable, "-c", code, file.urls[0], file.hash, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=30)[0].strip() for process in both]
    assert answers == [str(tmp_path / "toy")] * 2
    assert len(server.asked) == 1
    assert (tmp_path / file.path).read_bytes() == CONTENT


def serve_mnist(server, monkeypatch):
    """Make the catalog's MNIST a small one on the server; returns its training images."""
    rng, files = np.random.default_rng(0), []
    made = {}
    for word in ("train", "t10k"):
        images = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
        labels = np.arange(20, dtype=np.uint8) % 10
        made[word] = images
        for ending, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, array.ndim])
            header += b"".join(size.to_bytes(4, "big") for size in array.shape)
            content, name = gzip.compress(header + array.tobytes()), f"{word}-{ending}.gz"
            server.files[name] = content
            md5 = hashlib.md5(content).hexdigest()
            files.append(
                RemoteFile(f"MNIST/raw/{name}", f"md5:{md5}", (f"{server.url}/file/{name}",))
            )
    entry = CATALOG["mnist"]
    fields = {name: getattr(entry, name) for name in DataSet.__dataclass_fields__}
    monkeypatch.setitem(CATALOG, "mnist", DataSet(**fields | {"files": tuple(files)}))
    return made["train"]


def test_load_fetches_and_leaves_one_npz(server, tmp_path, monkeypatch):
    images = serve_mnist(server, monkeypatch)
    mnist = data.load("mnist", tmp_path / "new")
    assert not mnist.synthetic
    assert (mnist.train_images[:, 0].numpy() == images).all()
    left = {path.name for path in (tmp_path / "new").iterdir()}
    assert left - {".mnist.lock"} == {"mnist.npz"}
    data.load("mnist", tmp_path / "new")
    assert len(server.asked) == 4
    assert [status.ok for status in store.verify(tmp_path / "new")] == [True]


def test_load_without_a_network_takes_the_stand_in_and_says_why(tmp_path, monkeypatch, capsys):
    def unreachable(*_, **__):
        raise requests.ConnectionError

    monkeypatch.setattr(fetch.requests, "get", unreachable)
    drawn = (torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)) * 2
    monkeypatch.setattr("dlcourse.data.images.draw", lambda *_: (("0",), drawn))
    assert data.load("mnist", tmp_path).synthetic
    said = capsys.readouterr().err
    assert "MNIST IS NOT HERE" in said
    assert "no connection" in said
