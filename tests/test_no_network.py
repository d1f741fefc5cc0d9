"""The tests, and the processes that they start, have no network."""

import socket
import subprocess
import sys

import pytest

# TEST-NET-1 (RFC 5737): an address that belongs to nobody.
OUTSIDE = ("192.0.2.1", 80)
MESSAGE = "tests have no network, and this one asked for"


@pytest.mark.parametrize(
    ("family", "kind", "act"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, lambda s: s.connect(OUTSIDE)),
        (socket.AF_INET, socket.SOCK_STREAM, lambda s: s.connect_ex(OUTSIDE)),
        (socket.AF_INET, socket.SOCK_DGRAM, lambda s: s.sendto(b"", OUTSIDE)),
        (socket.AF_INET6, socket.SOCK_STREAM, lambda s: s.connect(("2001:db8::1", 80))),
    ],
    ids=["connect", "connect_ex", "sendto", "connect v6"],
)
def test_contact_with_another_machine_is_blocked(family, kind, act):
    with socket.socket(family, kind) as used, pytest.raises(RuntimeError, match=MESSAGE):
        act(used)


@pytest.mark.parametrize("look_up", [socket.gethostbyname, lambda n: socket.getaddrinfo(n, 80)])
def test_names_of_other_machines_are_not_looked_up(look_up):
    with pytest.raises(RuntimeError, match=MESSAGE + " 'example.org'"):
        look_up("example.org")


def test_a_process_that_a_test_starts_is_blocked():
    code = f"import socket; socket.create_connection({OUTSIDE}, timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "NetworkBlockedError" in done.stderr


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"x")
        with server.accept()[0] as accepted:
            assert accepted.recv(1) == b"x"
    assert socket.getaddrinfo("localhost", 80)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_unix_sockets_are_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("here")
        server.listen()
        client.connect("here")
