"""The few Linux calls that Python has no name for. Each raises OSError as the kernel says."""

from __future__ import annotations

import ctypes
import os
import struct

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
]

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
# Same numbers on every architecture.
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
    """Show the file or folder `source` at `target` too, with all that is mounted below it."""
    mount(source, target, None, MS_BIND | MS_REC)


def clone_tree(path: str) -> int:
    """A descriptor of a copy of what is mounted at and below `path`, for `attach`."""
    at_recursive, clone, close_on_exec = 0x8000, 1, os.O_CLOEXEC
    flags = at_recursive | clone | close_on_exec
    return call(libc.syscall(SYS_OPEN_TREE, -100, path.encode(), flags), f"open_tree {path}")


def attach(tree: int, target: str) -> None:
    """Mount what `clone_tree` copied at the folder `target`."""
    empty_path = 4
    call(
        libc.syscall(SYS_MOVE_MOUNT, tree, b"", -100, target.encode(), empty_path),
        f"move_mount {target}",
    )


def mount_tmpfs(target: str, size_mb: int) -> None:
    mount(
        "tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size_mb}m,nr_inodes=4096,mode=1777"
    )


def make_private() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def seal(target: str, *, recursive: bool = True) -> None:
    """Make `target` read-only, without devices or set-user-id, and all mounted below it."""
    attributes = struct.pack("<QQQQ", 1 | 2 | 4, 0, 0, 0)
    at_recursive = 0x8000 if recursive else 0
    call(
        libc.syscall(SYS_MOUNT_SETATTR, -100, target.encode(), at_recursive, attributes, 32),
        f"mount_setattr {target}",
    )


def move_root(folder: str) -> None:
    """Make `folder`, a mount point, the root; what was the root before is out of reach."""
    os.chdir(folder)
    call(libc.syscall(SYS[0], b".", b"."), "pivot_root")
    call(libc.umount2(b".", MNT_DETACH), "umount the old root")
    os.chdir("/")


def prctl(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return call(libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), "prctl")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent's thread ends."""
    prctl(1, 9)


def adopt_orphans() -> None:
    """Have this process become the parent of what its children leave behind."""
    prctl(36, 1)


def forbid_new_privileges() -> None:
    prctl(38, 1)


def no_new_privileges() -> bool:
    return prctl(39, 0) == 1


def keep_capabilities() -> None:
    """Let the next change of user keep what this process may do, until `drop_capabilities`."""
    prctl(8, 1)


def drop_capabilities(*, but_reading: bool = False) -> None:
    """Give up every capability, whichever user this is.

    but_reading: keep the one to read files and enter folders whatever their modes say.
    """
    header = struct.pack("<Ii", 0x20080522, 0)
    kept = 1 << 2 if but_reading else 0  # CAP_DAC_READ_SEARCH
    data = struct.pack("<6I", kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable
    call(libc.syscall(SYS[1], header, data), "capset")


def filter_calls(program: bytes) -> None:
    """Install the seccomp `program` for this process and all it starts."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    call(libc.syscall(SYS[2], 1, 0, header), "seccomp")


# Landlock's rights on files, by ABI: 13 in the first, then refer, truncate, and ioctl_dev in 5.
READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read_file, read_dir
WRITE = READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8  # write, remove, make_dir, make_reg


def landlock(readable: list[str], writable: list[str]) -> None:
    """Leave only `readable` and `writable` of the file system, and no TCP."""
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
            # A right on a folder's content means nothing on a plain file.
            wanted = (
                allowed if os.path.isdir(path) else allowed & (1 << 0 | 1 << 1 | 1 << 2 | 1 << 14)
            )
            rule = struct.pack("<Qi", wanted, folder)
            call(libc.syscall(SYS_LANDLOCK + 1, ruleset, 1, rule, 0), f"landlock {path}")
            os.close(folder)
    call(libc.syscall(SYS_LANDLOCK + 2, ruleset, 0), "landlock")
    os.close(ruleset)
