"""The layers around student code. Each is applied, and then tested with the act that it forbids."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import resource
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dlcourse.grade.sandbox import linux, seccomp

__all__ = [
    "DEVICES",
    "HIDDEN",
    "LAYERS",
    "READABLE",
    "UID",
    "UIDS",
    "Limits",
    "Report",
    "enter_namespaces",
    "lock_in",
    "missing",
    "note_baseline",
    "note_private",
]

BASELINE = 0  # bytes of address space before student code; see note_baseline
PRIVATE = False  # whether only root can read a folder of READABLE; see note_private
READABLE: list[str] = []  # folders that Python itself reads; the fork server fills it
HIDDEN: list[str] = []  # folders that no submission may see; filled for the probe alone
OWN_TMP = False  # whether /tmp is this submission's own; see own_tmpfs
DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom"]
# No account has these uids, and only root can take one. Each fork server has its own, because the
# kernel counts threads for each uid: one submission must not use up the threads of another.
UID, UIDS = 61_184, 4096
REFUSED = {errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOENT, errno.ENETUNREACH}


@dataclass(frozen=True)
class Limits:
    """What one submission may use; `memory_mb` does not count torch's own memory."""

    memory_mb: int = 1024
    disk_mb: int = 32
    files: int = 64
    threads: int = 64
    cpu_s: int = 600


@dataclass(frozen=True)
class Report:
    """Whether a layer is in force, as an attempt at what it forbids showed."""

    layer: str
    in_force: bool
    note: str = ""

    as_dict = asdict


def refused(act: Callable[[], object]) -> bool:
    """Return whether the system refuses `act`."""
    try:
        act()
    except OSError as error:
        if error.errno in REFUSED:
            return True
        raise
    return False


# Before the fork: once for all submissions of a worker.


def enter_namespaces(folders: list[str], hidden: list[str]) -> None:
    """Give this process its own mounts, network and IPC, as far as the system lets it.

    It then sees only `folders` of the file system, read-only and without what is `hidden` in them.
    """
    with contextlib.suppress(OSError):  # the probe tells which layers are missing then
        flags = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
        uid, gid = os.getuid(), os.getgid()
        linux.unshare(flags if uid == 0 else flags | linux.CLONE_NEWUSER)
        if uid != 0:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        linux.make_private()
        build_root("/tmp", folders, hidden)


def build_root(at: str, folders: list[str], hidden: list[str]) -> None:
    # The sources are opened before `at` is covered, because some may lie below it.
    sources = {path: os.open(path, os.O_PATH) for path in outermost(folders)}
    linux.mount_tmpfs(at, 4)
    for path, source in sources.items():
        target = f"{at}{path}"
        if os.path.isdir(path) or path == at or path.startswith(f"{at}/"):
            os.makedirs(target, 0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            Path(target).touch()
        linux.bind(f"/proc/self/fd/{source}", target)
        os.close(source)
        if not path.startswith("/dev/"):
            linux.seal(target)
    for link in ("/bin", "/lib", "/lib64", "/sbin"):
        if os.path.islink(link):
            os.symlink(os.readlink(link), f"{at}{link}")
    for path in hidden:
        if any(path == folder or path.startswith(f"{folder}/") for folder in sources):
            linux.mount_tmpfs(f"{at}{path}", 1)
            linux.seal(f"{at}{path}")
    os.makedirs(f"{at}/tmp", 0o777, exist_ok=True)
    os.chmod(at, 0o755)
    linux.move_root(at)
    linux.seal("/", recursive=False)


def outermost(paths: list[str]) -> list[str]:
    """Return the existing `paths` that do not lie in another of them."""
    found = sorted({os.path.realpath(path) for path in paths if os.path.exists(path)}, key=len)
    return [
        path
        for at, path in enumerate(found)
        if not any(path.startswith(f"{outer}/") for outer in found[:at])
    ]


# After the fork, in this order: first the layers that need privileges.


def own_tmpfs(limits: Limits) -> None:
    global OWN_TMP
    linux.unshare(linux.CLONE_NEWNS)
    # The environment or the course may lie below /tmp; both are mounted again in the new one.
    trees = {path: linux.clone_tree(path) for path in below_tmp()}
    linux.mount_tmpfs("/tmp", limits.disk_mb)
    for path, tree in trees.items():
        os.makedirs(path, 0o755, exist_ok=True)
        linux.attach(tree, path)
        os.close(tree)
    os.chdir("/tmp")
    OWN_TMP = True


def below_tmp() -> list[str]:
    return [path for path in outermost(READABLE) if path.startswith("/tmp/")]


def other_uid(limits: Limits) -> None:
    if os.getuid() != 0:
        raise OSError(errno.EPERM, "only root can take another uid")
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    if PRIVATE:
        linux.keep_capabilities()
    os.setresuid(UID, UID, UID)


def is_private(path: str) -> bool:
    """Return whether the mode of `path` or of a parent keeps other users from reading it."""
    parents = Path(path).resolve().parents
    return not os.stat(path).st_mode & 0o004 or any(
        not os.stat(parent).st_mode & 0o001 for parent in parents
    )


def note_private(files: list[str]) -> None:
    """Remember whether only root can read Python's files, as in root's home folder."""
    global PRIVATE
    PRIVATE = any(is_private(path) for path in [*READABLE, *files] if os.path.exists(path))


def bounds(limits: Limits) -> None:
    for which, value in (
        (resource.RLIMIT_AS, BASELINE + limits.memory_mb * 2**20),
        (resource.RLIMIT_FSIZE, limits.disk_mb * 2**20),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_NPROC, limits.threads),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (value, value))


def note_baseline() -> None:
    """Remember the address space of this process, while it can still read /proc."""
    global BASELINE
    BASELINE = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def no_privileges(limits: Limits) -> None:
    linux.drop_capabilities(but_reading=PRIVATE and os.getuid() == UID)
    linux.forbid_new_privileges()
    # A change of user clears this setting, so it comes last. Seccomp keeps it from student code.
    linux.die_with_parent()


def landlock(limits: Limits) -> None:
    # Where mounts are refused a submission has no /tmp of its own and may write nowhere.
    writable = ["/tmp"] if OWN_TMP else []
    try:
        linux.landlock(["/usr", "/lib", "/lib64", *DEVICES, *READABLE], writable)
    except OSError:
        # Only Landlock bounds the capability to read all files, so it must go.
        linux.drop_capabilities()
        raise


def filtered(limits: Limits) -> None:
    linux.filter_calls(seccomp.program())


def network_refused() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return refused(lambda: sock.connect(("192.0.2.1", 9)))


def too_much_memory_refused() -> bool:
    try:
        mmap.mmap(-1, 2**40).close()
    except OSError as error:
        return error.errno == errno.ENOMEM
    return False


def root_is_bare() -> bool:
    there = any(map(os.path.exists, ("/etc/passwd", "/proc/self", "/home", "/sys")))
    return not there and refused(lambda: os.open("/usr/x", os.O_CREAT | os.O_WRONLY))


def tmp_is_small() -> bool:
    tmp = os.statvfs("/tmp")
    needed = {path.split("/")[2] for path in below_tmp()}
    return tmp.f_blocks * tmp.f_frsize <= 2**30 and set(os.listdir("/tmp")) == needed


def only_some_files() -> bool:
    """Whether Landlock refuses named pipes, the root and, unless it is this process's own, /tmp."""
    acts: list[Callable[[], object]] = [lambda: os.mkfifo("/tmp/fifo"), lambda: os.listdir("/")]
    if not OWN_TMP:
        acts += [lambda: os.listdir("/tmp"), lambda: os.open("/tmp/x", os.O_CREAT | os.O_WRONLY)]
    return all(map(refused, acts))


def hidden_is_unreadable() -> bool:
    return not any(map(is_readable, HIDDEN))


def is_readable(path: str) -> bool:
    """Whether the folder can be listed and holds something, or the file can be opened."""
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        if error.errno in REFUSED:
            return False
        raise
    return True


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


@dataclass(frozen=True)
class Layer:
    """`apply` is None if the layer came before the fork; `holds` tries to break the layer."""

    name: str
    apply: Callable[[Limits], None] | None
    holds: Callable[[], bool]


LAYERS = (
    Layer("network namespace", None, network_refused),
    Layer("pid namespace", None, lambda: os.getpid() == 1),
    Layer("read-only root", None, root_is_bare),
    Layer("own tmpfs", own_tmpfs, tmp_is_small),
    Layer("separate uid", other_uid, lambda: os.getuid() == UID and refused(lambda: os.setuid(0))),
    Layer("limits", bounds, too_much_memory_refused),
    Layer("no_new_privs", no_privileges,
          lambda: linux.no_new_privileges() and refused(lambda: os.chroot("/"))),
    Layer("landlock", landlock, only_some_files),
    Layer("seccomp", filtered, lambda: refused(socket.socket) and refused(fork)),
    Layer("hidden folders", None, hidden_is_unreadable),
)  # fmt: skip


def lock_in(limits: Limits, *, probing: bool) -> list[Report]:
    """Apply every layer; with `probing`, try right after each one the act that it forbids."""
    reports = []
    for layer in LAYERS:
        try:
            if layer.apply is not None:
                layer.apply(limits)
            holds = not probing or layer.holds()
            reports.append(Report(layer.name, holds, "" if holds else "the act was not refused"))
        except OSError as error:
            reports.append(Report(layer.name, False, str(error)))
    return reports


def missing(reports: list[Report]) -> list[str]:
    """Return the layers that are missing to grade untrusted code; [] if none is."""
    there = {report.layer for report in reports if report.in_force}
    always = ("limits", "no_new_privs", "seccomp", "hidden folders")
    needed = [name for name in always if name not in there]
    if not there & {"read-only root", "landlock"}:
        needed.append("read-only root or landlock")
    if not there & {"separate uid", "pid namespace"}:
        needed.append("separate uid or pid namespace")
    return needed
