# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the names of files say of them: which hold code, which are archives, which folders are a history's own store."""

from __future__ import annotations

from collections.abc import Mapping

_BY_LANGUAGE: Mapping[str, str] = {
    "C": ".c .h .inc .inl .def .x .tpp .ipp .txx",
    "C++": ".cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .ixx .cppm .tcc",
    "Objective-C": ".m .mm .pch",
    "Metal": ".metal .msl",
    "CUDA and HIP": ".cu .cuh .cuda .hip .ptx",
    "OpenCL and SYCL": ".cl .clh .ocl .sycl",
    "shading languages": ".glsl .vert .frag .comp .geom .tesc .tese .hlsl .hlsli .fx .wgsl .slang .shader .compute",
    "intermediate": ".ll .mlir .s .asm",
    "Swift": ".swift",
    "Python": ".py .pyi .pyx .pxd .pxi .ipynb",
    "Rust": ".rs",
    "Go": ".go",
    "Java and its kin": ".java .kt .kts .scala .groovy",
    "C#": ".cs .fs",
    "JavaScript": ".js .mjs .cjs .jsx .ts .mts .cts .tsx .vue .svelte",
    "others": ".zig .nim .d .jl .lua .rb .pl .pm .php .r .dart .ml .mli .hs .ex .erl .clj .lisp .mojo .odin .v .f90",
    "templates": ".in .j2 .jinja .jinja2 .tmpl .tpl .mustache .em",
    "builds and scripts": ".cmake .bzl .bazel .gyp .gn .mk .sh .bash .zsh .ps1 .bat",
    "patches": ".patch .diff",
}  # fmt: skip

CODE_SUFFIXES: Mapping[str, str] = {
    suffix: language for language, suffixes in _BY_LANGUAGE.items() for suffix in suffixes.split()
}
"""Suffix, in lower case, and what it is a suffix of. Patches and templates count: they carry code."""

ARCHIVES: Mapping[str, str] = {
    **dict.fromkeys((".zip", ".whl", ".egg", ".jar", ".conda", ".nupkg", ".apk", ".ipa", ".xpi"), "an archive (zip)"),
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".crate", ".gem"),
                    "an archive (tar)"),
    **dict.fromkeys((".7z", ".rar", ".cpio", ".xar", ".pkg", ".deb", ".rpm", ".dmg", ".iso", ".ar"), "an archive"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".lz4", ".br", ".lzma"), "compressed"),
}  # fmt: skip
"""Ending of a name, in lower case, and what it is."""

MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"PK\x03\x04", 0, "an archive (zip)"),
    (b"PK\x05\x06", 0, "an archive (zip)"),
    (b"ustar", 257, "an archive (tar)"),
    (b"\x1f\x8b", 0, "compressed (gzip)"),
    (b"BZh", 0, "compressed (bzip2)"),
    (b"\xfd7zXZ\0", 0, "compressed (xz)"),
    (b"\x28\xb5\x2f\xfd", 0, "compressed (zstd)"),
    (b"7z\xbc\xaf\x27\x1c", 0, "an archive (7z)"),
    (b"!<arch>\n", 0, "an archive (ar)"),
)
"""First bytes, where they stand, and what they are the mark of, by each format's own specification. They only name a
file that is binary: text may begin with `BZh`."""

STORES: Mapping[str, str] = {
    ".git": "git's history",
    ".hg": "Mercurial's history",
    ".svn": "Subversion's history",
    ".bzr": "Bazaar's history",
    ".jj": "Jujutsu's history",
    ".sl": "Sapling's history",
}
"""Folders that hold every version of the tree, packed; the tree itself stands beside them."""
