"""Where untrusted code runs: a fork of a warm process that locks itself in first (Linux).

On the CPU only. CUDA works by ioctl on the driver's devices, and to allow that here would hand the
driver, which runs in the kernel, to code that nobody has read; a lab's tests are too small to gain.

No cgroup: a submission is one process that seccomp keeps from starting another, so the kernel's
limits on a process bound all of it.
"""
