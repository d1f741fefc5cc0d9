"""Linux calls that Python does not offer. Each raises OSError with the kernel's error number."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

__all__ = [
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "adopt_orphans",
    "attach",
    "bind",
    "clone_tree",
    "die_with_parent",
    "drop_capabilities",
    "filter_calls",
    "forbid_new_privileges",
    "keep_capabilities",
    "landlock",
    "make_private",
    "mount_tmpfs",
    "move_root",
    "no_new_privileges",
    "seal",
    "unshare",
    "use_huge_pages",
]

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
# These numbers are the same on every architecture.
SYS_LANDLOCK, SYS_MOUNT_SETATTR, SYS_OPEN_TREE, SYS_MOVE_MOUNT = 444, 442, 428, 429
SYS = {  # pivot_root, capset, seccomp
    "x86_64": (155, 126, 317),
    "aarch64": (41, 91, 277),
}.get(os.uname().machine if hasattr(os, "uname") else "", (-1, -1, -1))


def call(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    call(libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [word.encode() if word is not None else None for word in (source, target, kind, data)]
    call(libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]), f"mount {target}")


def bind(source: str, target: str) -> None:
    """Show the file or folder `source` at `target` too, with all mounts below it."""
    mount(source, target, None, MS_BIND | MS_REC)


def clone_tree(path: str) -> int:
    """Return a descriptor of a copy of the mounts at and below `path`, for `attach`."""
    at_recursive, clone, close_on_exec = 0x8000, 1, os.O_CLOEXEC
    flags = at_recursive | clone | close_on_exec
    return call(libc.syscall(SYS_OPEN_TREE, -100, path.encode(), flags), f"open_tree {path}")


def attach(tree: int, target: str) -> None:
    """Mount a copy made by `clone_tree` at the folder `target`."""
    empty_path = 4
    call(
        libc.syscall(SYS_MOVE_MOUNT, tree, b"", -100, target.encode(), empty_path),
        f"move_mount {target}",
    )


def mount_tmpfs(target: str, size_mb: int) -> None:
    # Nothing in it can run: a submission may bring a compiled library as a text.
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("tmpfs", target, "tmpfs", flags, f"size={size_mb}m,nr_inodes=4096,mode=1777")


def make_private() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def seal(target: str, *, recursive: bool = True) -> None:
    """Make `target` and all mounts below it read-only, without devices or set-user-id."""
    attributes = struct.pack("<QQQQ", 1 | 2 | 4, 0, 0, 0)
    at_recursive = 0x8000 if recursive else 0
    call(
        libc.syscall(SYS_MOUNT_SETATTR, -100, target.encode(), at_recursive, attributes, 32),
        f"mount_setattr {target}",
    )


def move_root(folder: str) -> None:
    """Make `folder`, a mount point, the root, and put the old root out of reach."""
    os.chdir(folder)
    call(libc.syscall(SYS[0], b".", b"."), "pivot_root")
    call(libc.umount2(b".", MNT_DETACH), "umount the old root")
    os.chdir("/")


def prctl(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return call(libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), "prctl")


def die_with_parent() -> None:
    """Make the kernel kill this process when the thread that started it ends."""
    prctl(1, 9)


def adopt_orphans() -> None:
    """Make this process the parent of the processes that its children leave behind."""
    prctl(36, 1)


def forbid_new_privileges() -> None:
    prctl(38, 1)


def no_new_privileges() -> bool:
    return prctl(39, 0) == 1


def keep_capabilities() -> None:
    """Keep this process's capabilities over the next change of user."""
    prctl(8, 1)


def drop_capabilities(*, but_reading: bool = False) -> None:
    """Give up every capability.

    but_reading: keep the one to read files and enter folders regardless of their modes.
    """
    header = struct.pack("<Ii", 0x20080522, 0)
    kept = 1 << 2 if but_reading else 0  # CAP_DAC_READ_SEARCH
    data = struct.pack("<6I", kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable
    call(libc.syscall(SYS[1], header, data), "capset")


def filter_calls(program: bytes) -> None:
    """Install the seccomp `program` for this process and its children."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    call(libc.syscall(SYS[2], 1, 0, header), "seccomp")


def use_huge_pages() -> None:
    """Let the memory that this process has now consist of pages of 2 MiB, where the kernel can.

    A fork copies the table of all pages and its end gives them back. With torch loaded, pages of
    4 KiB make that the larger part of grading a small file. A page that a fork writes to is still
    copied alone. Needs Linux 6.1; on an older one, nothing changes.
    """
    size, collapse = 2**21, 25
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, mode, _, _, _, *file = line.split()
        if mode == "rw-p" and file in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in place.split("-"))
            start, end = -(-start // size) * size, end // size * size
            if start < end:
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), collapse)


# Landlock's rights on files: 13 in ABI 1, then refer (2), truncate (3) and ioctl_dev (5).
READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read_file, read_dir
WRITE = READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8  # write, remove, make_dir, make_reg


def landlock(readable: list[str], writable: list[str]) -> None:
    """Allow access to `readable` and `writable` only, and no TCP."""
    abi = call(libc.syscall(SYS_LANDLOCK, None, 0, 1), "landlock")
    rights = (1 << (13 + (abi >= 2) + (abi >= 3))) - 1 | (1 << 15 if abi >= 5 else 0)
    attributes = struct.pack("<QQQ", rights, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = call(libc.syscall(SYS_LANDLOCK, attributes, size, 0), "landlock")
    for paths, allowed in ((readable, READ), (writable, WRITE | (1 << 14 if abi >= 3 else 0))):
        for path in paths:
            if not os.path.exists(path):
                continue
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            # The kernel refuses rights on a folder's content for a plain file.
            wanted = (
                allowed if os.path.isdir(path) else allowed & (1 << 0 | 1 << 1 | 1 << 2 | 1 << 14)
            )
            rule = struct.pack("<Qi", wanted, folder)
            call(libc.syscall(SYS_LANDLOCK + 1, ruleset, 1, rule, 0), f"landlock {path}")
            os.close(folder)
    call(libc.syscall(SYS_LANDLOCK + 2, ruleset, 0), "landlock")
    os.close(ruleset)
