"""The filter of system calls, run by an interpreter of its own, for both architectures."""

import re
import struct
from pathlib import Path

import pytest

from dlcourse.grade.sandbox.seccomp import ALLOWED, program

KILL, ALLOW, EPERM, ENOSYS = 0x80000000, 0x7FFF0000, 0x00050001, 0x00050026
# include/uapi/linux/audit.h: the machine's ELF number, 64 bits, little-endian.
ARCHITECTURE = {"x86_64": 62 | 0xC0000000, "aarch64": 183 | 0xC0000000}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
# name: its number on x86_64 and on aarch64
CALLS = {
    "read": (0, 63), "write": (1, 64), "openat": (257, 56), "mmap": (9, 222), "futex": (202, 98),
    "exit_group": (231, 94), "clock_gettime": (228, 113), "getrandom": (318, 278),
    "socket": (41, 198), "connect": (42, 203), "execve": (59, 221), "ptrace": (101, 117),
    "kill": (62, 129), "tgkill": (234, 131), "mount": (165, 40), "unshare": (272, 97),
    "setns": (308, 268), "prctl": (157, 167), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "symlinkat": (266, 36), "linkat": (265, 37), "mknodat": (259, 33),
    "prlimit64": (302, 261), "memfd_create": (319, 279), "shmget": (29, 194), "chroot": (161, 51),
    "process_vm_readv": (310, 270), "sched_setaffinity": (203, 122), "setuid": (105, 146),
    "flock": (73, 32), "utimensat": (280, 88), "sysinfo": (99, 179), "mincore": (27, 232),
}  # fmt: skip
PLAIN = list(CALLS)[:8]

machines = pytest.mark.parametrize("machine", ARCHITECTURE)


def verdict(machine, number, first=0, second=0, architecture=None):
    """What the kernel would do: run the program (man 2 seccomp) on a struct seccomp_data."""
    architecture = ARCHITECTURE[machine] if architecture is None else architecture
    data = struct.pack("<iIQQQ", number, architecture, 0, first, second)
    rules = list(struct.iter_unpack("<HBBI", program(machine)))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = rules[at]
        at += 1
        if code == 0x20:  # load a word
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x15:  # jump if equal
            at += if_true if accumulator == value else if_false
        elif code == 0x45:  # jump if a bit is set
            at += if_true if accumulator & value else if_false
        else:
            assert code == 0x06
            return value


@machines
def test_plain_calls_are_allowed_and_all_else_is_refused(machine):
    at = list(ARCHITECTURE).index(machine)
    found = {name: verdict(machine, numbers[at]) for name, numbers in CALLS.items()}
    assert found == {name: ALLOW if name in PLAIN else EPERM for name in CALLS}


@machines
def test_threads_may_be_started_and_processes_may_not(machine):
    clone = {"x86_64": 56, "aarch64": 220}[machine]
    thread, fork = 0x3D0F00, 0x01200011  # the flags of glibc's pthread_create and fork
    assert verdict(machine, clone, thread) == ALLOW
    assert verdict(machine, clone, fork) == EPERM
    assert verdict(machine, 435, thread) == ENOSYS  # clone3: glibc then calls clone


@machines
def test_no_file_is_a_terminal(machine):
    assert verdict(machine, {"x86_64": 16, "aarch64": 29}[machine]) == 0x00050019  # ENOTTY


@machines
def test_descriptors_may_be_copied_and_files_may_not_be_locked(machine):
    number = {"x86_64": 72, "aarch64": 25}[machine]
    # include/uapi/linux/fcntl.h: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC;
    # all others lock files, watch folders, or tell who reads a file.
    allowed = [0, 1, 2, 3, 4, 1030]
    verdicts = {command: verdict(machine, number, 3, command) for command in range(2048)}
    assert [command for command, given in verdicts.items() if given == ALLOW] == allowed
    assert {*verdicts.values()} == {ALLOW, EPERM}


@machines
def test_calls_of_another_architecture_end_the_process(machine):
    assert verdict(machine, 0, architecture=0x40000003) == KILL  # i386
    (other,) = set(ARCHITECTURE) - {machine}
    assert verdict(machine, 0, architecture=ARCHITECTURE[other]) == KILL
    # The numbers of x32 have a bit of their own.
    assert verdict(machine, 0x40000000 | 41) == EPERM


@machines
def test_both_lists_hold_the_same_calls_by_the_kernels_headers(machine):
    if not all(path.is_file() for path in HEADERS.values()):
        pytest.skip("needs the kernel's headers (linux-libc-dev)")
    define = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)")
    names = {
        key: {int(number): name for name, number in define.findall(path.read_text())}
        for key, path in HEADERS.items()
    }
    names["aarch64"][79] = "newfstatat"  # its name there is fstatat
    found = {names[machine][number] for number in ALLOWED[machine]}
    other = {names["x86_64"][number] for number in ALLOWED["x86_64"]}
    # Calls that the newer architecture has only in the form with "at", or not at all.
    old = {
        "open", "stat", "lstat", "poll", "access", "select", "dup2", "time", "rename", "mkdir",
        "rmdir", "creat", "unlink", "readlink",
    }  # fmt: skip
    assert found == (other if machine == "x86_64" else other - old)


def test_an_unknown_machine_is_refused():
    with pytest.raises(OSError, match="no list of system calls for riscv64"):
        program("riscv64")
