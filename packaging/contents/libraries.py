"""The libraries of other projects that wheels bring, beside them, in folders such as `av.libs`."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# By the name of the file, without what the wheel's maker put in: the project, its licence (SPDX), who has the rights, and its home.
KNOWN = {
    "SvtAv1Enc": ("SVT-AV1", "BSD-3-Clause-Clear", "2019 Alliance for Open Media", "https://gitlab.com/AOMediaCodec/SVT-AV1"),
    "Xau": ("libXau", "MIT", "1988, 1998 The Open Group", "https://gitlab.freedesktop.org/xorg/lib/libxau"),
    "asound": (
        "alsa-lib",
        "LGPL-2.1-or-later",
        "1998 Jaroslav Kysela and the ALSA project",
        "https://github.com/alsa-project/alsa-lib",
    ),
    "ctranslate2": ("CTranslate2", "MIT", "2018 SYSTRAN, 2019 The OpenNMT Authors", "https://github.com/OpenNMT/CTranslate2"),
    "dav1d": ("dav1d", "BSD-2-Clause", "2018 VideoLAN and dav1d authors", "https://code.videolan.org/videolan/dav1d"),
    "drm": (
        "libdrm",
        "MIT",
        "1999 Precision Insight, Inc., VA Linux Systems, Inc. and others",
        "https://gitlab.freedesktop.org/mesa/drm",
    ),
    "gfortran": ("GCC", "GPL-3.0-or-later WITH GCC-exception-3.1", "2002 Free Software Foundation, Inc.", "https://gcc.gnu.org"),
    "gmp": ("GMP", "LGPL-3.0-or-later OR GPL-2.0-or-later", "1991 Free Software Foundation, Inc.", "https://gmplib.org"),
    "gnutls": (
        "GnuTLS",
        "LGPL-2.1-or-later",
        "2000 Free Software Foundation, Inc. and Nikos Mavrogiannopoulos",
        "https://gnutls.org",
    ),
    "gomp": ("GCC", "GPL-3.0-or-later WITH GCC-exception-3.1", "2005 Free Software Foundation, Inc.", "https://gcc.gnu.org"),
    "mp3lame": ("LAME", "LGPL-2.0-or-later", "1999 Mark Taylor and the LAME project", "https://lame.sourceforge.io"),
    "nettle": (
        "Nettle",
        "LGPL-3.0-or-later OR GPL-2.0-or-later",
        "2001 Niels Möller",
        "https://www.lysator.liu.se/~nisse/nettle",
    ),
    "opencore-amrnb": (
        "OpenCORE AMR",
        "Apache-2.0",
        "1998 PacketVideo, 2009 Martin Storsjo",
        "https://sourceforge.net/projects/opencore-amr",
    ),
    "opus": (
        "Opus",
        "BSD-3-Clause",
        "2001 Xiph.Org, Skype Limited, Octasic, Jean-Marc Valin and others",
        "https://opus-codec.org",
    ),
    "quadmath": ("GCC", "LGPL-2.1-or-later", "2010 Free Software Foundation, Inc.", "https://gcc.gnu.org"),
    "scipy_openblas64_": ("OpenBLAS", "BSD-3-Clause", "2011 The OpenBLAS Project", "https://github.com/OpenMathLib/OpenBLAS"),
    "unistring": (
        "libunistring",
        "LGPL-3.0-or-later OR GPL-2.0-or-later",
        "2001 Free Software Foundation, Inc.",
        "https://www.gnu.org/software/libunistring",
    ),
    "vpl": ("libvpl", "MIT", "2020 Intel Corporation", "https://github.com/intel/libvpl"),
    "vpx": ("libvpx", "BSD-3-Clause", "2010 The WebM Project authors", "https://chromium.googlesource.com/webm/libvpx"),
    "webp": ("libwebp", "BSD-3-Clause", "2010 Google Inc.", "https://chromium.googlesource.com/webm/libwebp"),
    "x264": ("x264", "GPL-2.0-or-later", "2003 x264 project", "https://www.videolan.org/developers/x264.html"),
    "x265": ("x265", "GPL-2.0-or-later", "2013 MulticoreWare, Inc.", "https://bitbucket.org/multicoreware/x265_git"),
    "xcb": (
        "libxcb",
        "MIT",
        "2001 Bart Massey, Jamey Sharp, and Josh Triplett",
        "https://gitlab.freedesktop.org/xorg/lib/libxcb",
    ),
}
# FFmpeg says LGPL of itself; the wheel of PyAV binds it to x264 and x265.
FFMPEG = ("FFmpeg", "LGPL-3.0-or-later", "2000 Fabrice Bellard and the FFmpeg developers", "https://ffmpeg.org")
KNOWN |= {f"av{part}": FFMPEG for part in ("codec", "device", "filter", "format", "util")} | dict.fromkeys(
    ("swresample", "swscale"), FFMPEG
)
KNOWN |= {"hogweed": KNOWN["nettle"], "opencore-amrwb": KNOWN["opencore-amrnb"]}
KNOWN |= dict.fromkeys(("sharpyuv", "webpmux"), KNOWN["webp"]) | dict.fromkeys(
    ("xcb-shape", "xcb-shm", "xcb-xfixes"), KNOWN["xcb"]
)
# What libc6, libgcc-s1, libstdc++6 and zlib1g bring: the dependencies in debian/control.
OF_DEBIAN = r"(ld-linux-(x86-64|aarch64)|lib(c|dl|gcc_s|m|mvec|pthread|rt|stdc\+\+|z))\.so\.[0-9]+"


class Unknown(Exception):
    """Something in a wheel that nobody has looked at. The message says what to do."""


@dataclass(frozen=True)
class Library:
    """One library: its path below site-packages, and the project that it comes from."""

    path: str
    project: str
    licence: str
    holder: str
    home: str


def found(site: Path) -> list[Library]:
    """The libraries beside the wheels, by path. Raises Unknown for one whose licence nobody has looked up."""
    libraries = []
    for path in sorted(site.glob("*.libs/*.so*")):
        matched = re.fullmatch(r"lib(.+?)-?(-[0-9a-f]{8})*\.so[.0-9]*", path.name)
        name = matched[1] if matched else path.name
        if name not in KNOWN:
            raise Unknown(
                f"{path.parent.name}/{path.name} is of no known project. Look its licence up, and add {name!r} to KNOWN in {__file__}."
            )
        libraries.append(Library(str(path.relative_to(site)), *KNOWN[name]))
    return libraries


def check(site: Path) -> None:
    """Raise Unknown for a library that needs one which neither the environment has nor Debian, by the package's dependencies."""
    objects = [path for path in sorted(site.rglob("*.so*")) if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    here = {path.name for path in objects}
    for path in objects:
        said = subprocess.run(["readelf", "--dynamic", "--wide", path], capture_output=True, text=True, check=True).stdout
        for needed in re.findall(r"\(NEEDED\)\s+Shared library: \[(.+)\]", said):
            if needed not in here and not re.fullmatch(OF_DEBIAN, needed):
                raise Unknown(
                    f"{path.relative_to(site)} needs {needed}. Add the package that has it to Depends in debian/control, and it to {__file__}."
                )
