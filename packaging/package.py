#!/usr/bin/env python3
"""Packs the release binaries into a Python wheel and a Debian package, with man pages and shell completions.

    python3 packaging/package.py BIN_DIR OUT_DIR

BIN_DIR contains `twinopt` and `twinopt-import`. The same binaries give the same bytes. The oldest supported glibc is
read from the binaries. Only the standard library is needed, and `dpkg-deb` for the Debian package.
"""

import base64
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARIES = ("twinopt", "twinopt-import")
COMPLETIONS = {
    "bash": "share/bash-completion/completions/twinopt",
    "zsh": "share/zsh/site-functions/_twinopt",
    "fish": "share/fish/vendor_completions.d/twinopt.fish",
}
# zip files cannot store earlier dates
TIME = (1980, 1, 1, 0, 0, 0)


def cargo(key: str) -> str:
    """The value of a key in Cargo.toml."""
    found = re.search(rf'^{key} = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)
    if not found:
        sys.exit(f"Cargo.toml has no `{key}`")
    return found.group(1)


def glibc(binary: Path) -> tuple[int, int]:
    """The newest version of glibc whose symbols `binary` uses."""
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", binary.read_bytes())
    return max(((int(a), int(b)) for a, b in versions), default=(2, 17))


def files(bin_dir: Path) -> dict[str, tuple[bytes, int]]:
    """Installed path below the prefix -> content and mode."""
    out = {f"bin/{name}": ((bin_dir / name).read_bytes(), 0o755) for name in BINARIES}
    twinopt = bin_dir / "twinopt"
    for shell, path in COMPLETIONS.items():
        out[path] = (subprocess.run([twinopt, "completions", shell], check=True, capture_output=True).stdout, 0o644)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([twinopt, "man", folder], check=True, capture_output=True)
        for page in sorted(Path(folder).glob("*.1")):
            out[f"share/man/man1/{page.name}"] = (page.read_bytes(), 0o644)
    return out


def wheel(content: dict[str, tuple[bytes, int]], floor: tuple[int, int], out_dir: Path) -> Path:
    version, machine = cargo("version"), platform.machine()
    tag = f"py3-none-manylinux_{floor[0]}_{floor[1]}_{machine}"
    info, data = f"twinopt-{version}.dist-info", f"twinopt-{version}.data"
    metadata = "\n".join(
        [
            "Metadata-Version: 2.1",
            "Name: twinopt",
            f"Version: {version}",
            f"Summary: {cargo('description')}",
            f"License: {cargo('license')}",
            "Requires-Python: >=3.7",
            "Description-Content-Type: text/markdown",
            "",
            (ROOT / "README.md").read_text(),
        ]
    )
    entries = {f"{info}/METADATA": (metadata.encode(), 0o644)}
    entries[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: twinopt\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        0o644,
    )
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        entries[f"{info}/{licence}"] = ((ROOT / licence).read_bytes(), 0o644)
    for path, entry in content.items():
        folder = "scripts" if path.startswith("bin/") else "data"
        entries[f"{data}/{folder}/{path.removeprefix('bin/')}"] = entry
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(entry[0]).digest()).rstrip(b'=').decode()},{len(entry[0])}\n"
        for name, entry in sorted(entries.items())
    )
    entries[f"{info}/RECORD"] = (f"{record}{info}/RECORD,,\n".encode(), 0o644)
    target = out_dir / f"twinopt-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        # the files in `dist-info` come last, as the specification of wheels recommends
        for name, (body, mode) in sorted(entries.items(), key=lambda e: (e[0].startswith(info), e[0])):
            member = zipfile.ZipInfo(name, TIME)
            member.external_attr, member.compress_type = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
            archive.writestr(member, body)
    return target


def debian(content: dict[str, tuple[bytes, int]], floor: tuple[int, int], out_dir: Path) -> Path:
    version = cargo("version")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, (body, mode) in content.items():
            path = root / "usr" / path.replace("site-functions", "vendor-completions")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            path.chmod(mode)
        docs = root / "usr/share/doc/twinopt"
        docs.mkdir(parents=True)
        shutil.copy(ROOT / "LICENSE-APACHE", docs)
        shutil.copy(ROOT / "LICENSE-MIT", docs / "copyright")
        size = sum(len(body) for body, _ in content.values()) // 1024
        control = root / "DEBIAN/control"
        control.parent.mkdir()
        control.write_text(
            f"Package: twinopt\nVersion: {version}\nArchitecture: {arch}\nMaintainer: twinopt contributors\n"
            f"Installed-Size: {size}\nDepends: libc6 (>= {floor[0]}.{floor[1]}), libgcc-s1\nSection: science\n"
            f"Priority: optional\nDescription: {cargo('description')}\n"
        )
        for path in [root, *root.rglob("*")]:
            os.utime(path, (315_532_800, 315_532_800))
        target = out_dir / f"twinopt_{version}_{arch}.deb"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
        command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(target)]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return target


def main() -> None:
    bin_dir, out_dir = Path(sys.argv[1]), Path(sys.argv[2])
    out_dir.mkdir(parents=True, exist_ok=True)
    content = files(bin_dir)
    floor = max(glibc(bin_dir / name) for name in BINARIES)
    made = [wheel(content, floor, out_dir)]
    if shutil.which("dpkg-deb"):
        made.append(debian(content, floor, out_dir))
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (out_dir / "SHA256SUMS").write_text(sums)
    for path in made:
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB, glibc {floor[0]}.{floor[1]} or later)")


if __name__ == "__main__":
    main()
