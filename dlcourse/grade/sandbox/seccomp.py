"""The system calls that student code may make: for memory, time, plain files and threads.

Every other call fails with EPERM, which student code sees as PermissionError: sockets, processes,
signals to others, mounts and tracing, and what one submission could leave for another to see: locks
on files, dates of files, and how much memory the machine has left.
"""

from __future__ import annotations

import os
import struct

__all__ = ["program"]

ALLOWED = {
    "x86_64": (
        0, 1, 2, 3, 4, 5, 6, 7, 8,  # read write open close stat fstat lstat poll lseek
        9, 10, 11, 12, 25, 28,  # mmap mprotect munmap brk mremap madvise
        13, 14, 15, 131,  # rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
        17, 18, 19, 20, 21, 23, 24,  # pread pwrite readv writev access select sched_yield
        32, 33, 292, 77, 293,  # dup dup2 dup3 ftruncate pipe2
        35, 96, 100, 201, 228, 229, 230,  # nanosleep gettimeofday times time clock_*
        39, 110, 186, 102, 104, 107, 108,  # getpid getppid gettid getuid getgid geteuid getegid
        60, 231,  # exit exit_group
        63, 97, 98, 204, 309,  # uname getrlimit getrusage sched_getaffinity getcpu
        79, 80, 82, 83, 84, 85, 87, 89,  # getcwd chdir rename mkdir rmdir creat unlink readlink
        217, 257, 258, 262, 263, 264, 316, 267, 269, 439, 332,  # getdents64 and the *at calls
        202, 218, 273, 334, 324,  # futex set_tid_address set_robust_list rseq membarrier
        270, 271, 318,  # pselect6 ppoll getrandom
    ),
    # The same calls; this architecture lacks the old ones, such as open and stat.
    "aarch64": (
        63, 64, 57, 80, 62,  # read write close fstat lseek
        222, 226, 215, 214, 216, 233,  # mmap mprotect munmap brk mremap madvise
        134, 135, 139, 132,  # rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
        67, 68, 65, 66, 124,  # pread pwrite readv writev sched_yield
        23, 24, 46, 59,  # dup dup3 ftruncate pipe2
        101, 169, 153, 113, 114, 115,  # nanosleep gettimeofday times clock_*
        172, 173, 178, 174, 176, 175, 177,  # getpid getppid gettid getuid getgid geteuid getegid
        93, 94,  # exit exit_group
        160, 163, 165, 123, 168,  # uname getrlimit getrusage sched_getaffinity getcpu
        17, 49,  # getcwd chdir
        61, 56, 34, 79, 35, 38, 276, 78, 48, 439, 291,  # getdents64 and the *at calls
        98, 96, 99, 293, 283,  # futex set_tid_address set_robust_list rseq membarrier
        72, 73, 278,  # pselect6 ppoll getrandom
    ),
}  # fmt: skip
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
CLONE_THREAD = 0x10000
FCNTL = {"x86_64": 72, "aarch64": 25}
# Its commands to copy a descriptor and for flags. Others lock files and watch folders, by which
# submissions that run at the same time could talk.
COMMANDS = (0, 1, 2, 3, 4, 1030)
IOCTL = {"x86_64": 16, "aarch64": 29}
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
EPERM, ENOTTY, ENOSYS = 1, 25, 38
LOAD, EQUAL, BITS, RETURN = 0x20, 0x15, 0x45, 0x06


def allow_only(values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Rules that allow the call if the loaded word is one of `values`, and refuse it else."""
    count = len(values)
    return [
        *((EQUAL, count - at, 0, value) for at, value in enumerate(values)),
        (RETURN, 0, 0, ERRNO | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def program(machine: str | None = None) -> bytes:
    """Return the filter as classic BPF. Raises OSError for a machine that ALLOWED does not list."""
    machine = machine or os.uname().machine
    if machine not in ALLOWED:
        raise OSError(ENOSYS, f"no list of system calls for {machine}")
    listed = allow_only(ALLOWED[machine])
    rules = [
        (LOAD, 0, 0, 4),  # the architecture
        (EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),  # the call's number
        # How many rules to skip: the rest of these four, the list, what stands before the target.
        (EQUAL, 3 + len(listed), 0, CLONE[machine]),
        # After ENOSYS for clone3 glibc calls clone, whose flags this filter can read.
        (EQUAL, 2 + len(listed) + 4, 0, CLONE3),
        # Python asks an opened file by ioctl, and goes on if that says it is no terminal.
        (EQUAL, 1 + len(listed) + 5, 0, IOCTL[machine]),
        (EQUAL, len(listed) + 6, 0, FCNTL[machine]),
        *listed,
        (LOAD, 0, 0, 16),  # the low half of clone's flags
        (BITS, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | EPERM),
        (RETURN, 0, 0, ERRNO | ENOSYS),
        (RETURN, 0, 0, ERRNO | ENOTTY),
        (LOAD, 0, 0, 24),  # the command of fcntl
        *allow_only(COMMANDS),
    ]
    return b"".join(struct.pack("<HBBI", *rule) for rule in rules)
