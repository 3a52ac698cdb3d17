"""A process that shuts itself in: limits on what it may use, and a filter on what it may ask of the kernel (seccomp(2)).

For a child that reads what strangers send. It keeps the descriptors it has, memory, threads and time; it gets no socket, no
file, no program and no hold on another process, whatever a hostile file makes of it.
"""

import ctypes
import errno
import math
import os
import platform
import resource
import struct
import time

# linux/prctl.h, linux/seccomp.h, linux/filter.h, linux/audit.h, linux/sched.h
_PR_SET_NO_NEW_PRIVS, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER = 38, 21, 22, 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000  # The other numbers by which x86-64 can be asked.

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# What is refused: the number on x86-64 and on aarch64, where it has one.
DENIED: dict[str, tuple[int | None, int | None]] = {
    # Network.
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    # Programs and processes.
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "process_madvise": (440, 440),
    "setpriority": (141, 140), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "ioprio_set": (251, 30),
    "unshare": (272, 97), "setns": (308, 268), "personality": (135, 92), "setrlimit": (160, 164),
    # Files.
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None), "open_by_handle_at": (304, 265),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "link": (86, None), "linkat": (265, 37),
    "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33), "truncate": (76, 45),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "chdir": (80, 49), "fchdir": (81, 50), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # Named memory and queues, which outlive a process.
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # Parts of the kernel that have nothing to do with sound, and had many holes.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "syslog": (103, 116), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104),
}  # fmt: skip
# The C library asks by clone when this is not there; its arguments lie in memory, where no filter can look at them.
_CLONE3 = (435, 435)
# Every open() of Python asks whether the file is a terminal.
_IOCTL = (16, 29)
# Allowed with the right first argument: threads, limits of one's own, a signal to oneself as abort(3) sends it.
_CLONE, _PRLIMIT64, _TGKILL = (56, 220), (302, 261), (234, 131)
# Refused with these second arguments, by which the kernel is made to send signals to others: F_SETOWN, F_SETSIG, F_SETOWN_EX.
_FCNTL, _SIGNALLING = (72, 25), (8, 10, 15)


def limit(memory: int, descriptors: int) -> None:
    """Limit this process to so many bytes of address space and so many descriptors, and let it leave no core behind."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(seconds: float) -> None:
    """Have this process killed by SIGXCPU when it uses so many seconds of CPU time more. Another call starts anew."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    end = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (end if hard == resource.RLIM_INFINITY else min(end, hard), hard))


def enter() -> bool:
    """Shut this process in, for good. False where the kernel or the machine has no such filter.

    Whatever is to be imported, opened or loaded must be so before. Raises RuntimeError when the process has threads already,
    which would stay outside.
    """
    if platform.machine() not in _ARCHITECTURES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    # First, because qemu, which has none for the programs that it emulates, has a thread of its own in each of them.
    if libc.prctl(_PR_GET_SECCOMP, zero, zero, zero, zero) < 0:
        return False
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208 - what a test replaces
        raise RuntimeError("a process is to be shut in before it has threads")
    program = filter_program(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):  # struct sock_fprog
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    if libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero):
        return False
    described = Program(len(program) // 8, ctypes.addressof(code))
    failed: int = libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(described), zero, zero)
    return not failed


def filter_program(machine: str, pid: int) -> bytes:
    """The filter in the kernel's classic BPF for a machine of _ARCHITECTURES and the process `pid`."""
    column, architecture = _ARCHITECTURES[machine]
    refuse = _ERRNO | errno.EPERM
    steps = [_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, architecture, 1, 0), _step(_RETURN, _KILL), _step(_LOAD, _NUMBER)]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, refuse)]
    answers = {_CLONE3[column]: errno.ENOSYS, _IOCTL[column]: errno.ENOTTY}
    answers |= {number: errno.EPERM for numbers in DENIED.values() if (number := numbers[column]) is not None}
    for number, answer in answers.items():
        steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ERRNO | answer)]
    for numbers, test, value in ((_CLONE, _ANY_BIT, _CLONE_THREAD), (_PRLIMIT64, _EQUAL, 0), (_TGKILL, _EQUAL, pid)):
        steps += [_step(_EQUAL, numbers[column], 0, 4), _step(_LOAD, _FIRST_ARGUMENT), _step(test, value, 1, 0)]
        steps += [_step(_RETURN, refuse), _step(_RETURN, _ALLOW)]
    steps += [_step(_EQUAL, _FCNTL[column], 0, 1 + 2 * len(_SIGNALLING)), _step(_LOAD, _SECOND_ARGUMENT)]
    for value in _SIGNALLING:
        steps += [_step(_EQUAL, value, 0, 1), _step(_RETURN, refuse)]
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction (struct sock_filter); the jumps are counted from the next one."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
