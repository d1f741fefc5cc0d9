"""The place where untrusted code runs: a fork of a warm process that confines itself first (Linux).

It uses the CPU only. CUDA needs ioctl on the driver's devices; to allow that would expose the
driver, which runs in the kernel, to code that nobody has read. A lab's tests are too small to gain
from a GPU.

It uses no cgroup: seccomp keeps a submission from starting a second process, so the kernel's limits
for one process bound all of it.
"""
