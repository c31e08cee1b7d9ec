"""Makes a torch that was installed without its CUDA packages load: for machines that only test, on the CPU.

The torch that pip finds for Linux is the CUDA build. Its CUDA libraries are packages of their own, 4.3 GB of disk that a
machine without a GPU never uses, but `import torch` fails when they are not there, because torch's own libraries name
them. This puts small libraries of those names into torch/lib, in which every function answers "no device", which is
what torch asks first of all: `torch.cuda.is_available()` is false, everything else is as with a CPU build.

    pip install --no-deps --requirement requirements-test.lock      # does not name the CUDA packages
    python tools/torch_without_cuda.py                              # needs cc, nm and readelf, as any compiler brings

Does nothing where torch loads already.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

#: Libraries and functions of CUDA.
LIBRARY = re.compile(r"lib(cu|nccl|nv)[A-Za-z_-]*\.so(\.\d+)+")
FUNCTION = re.compile(r"(__cuda|cu|Cu|nccl|nv)\w*")
#: cudaErrorNoDevice
NO_DEVICE = 100
TRY = "import torch; torch.ones(2).sum().item(); assert not torch.cuda.is_available()"


def loads() -> str:
    """What `import torch` says in a process of its own; empty: it loads."""
    r = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True)
    return "" if r.returncode == 0 else (r.stderr.strip().splitlines() or [f"exit code {r.returncode}"])[-1]


def output(*command: str | Path) -> str:
    try:
        return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is not installed: install a C compiler (apt-get install gcc)") from None


def stand_ins(libraries: list[Path]) -> dict[str, dict[str, list[str]]]:
    """What has to be there for these libraries to load: library -> version ("" for none) -> functions."""
    own = {p.name for p in libraries}
    names = {n for n in re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", *libraries)) if LIBRARY.fullmatch(n)} - own
    found: dict[str, dict[str, list[str]]] = {n: {} for n in sorted(names)}
    of_version, file = {}, ""
    for line in output("readelf", "-V", *libraries).splitlines():
        if m := re.search(r"File: (\S+)", line):
            file = m[1]
        elif (m := re.search(r"Name: (\S+) ", line)) and file in names:
            of_version[m[1]] = file
    text = output("nm", "-D", *libraries)
    here = set(re.findall(r" [A-TV-Z] ([^@\s]+)", text))
    for name, version in sorted(set(re.findall(r"^\s+U ([^@\s]+)(?:@(\S+))?$", text, re.MULTILINE))):
        if version in of_version:
            found[of_version[version]].setdefault(version, []).append(name)
        elif not version and FUNCTION.fullmatch(name) and name not in here:
            found["libcudart.so." + next(n for n in names if "cudart" in n).split(".so.")[1]].setdefault("", []).append(name)
    return found


def build(path: Path, versions: dict[str, list[str]]) -> None:
    """A library with these functions."""
    with tempfile.TemporaryDirectory() as t:
        source, script = Path(t) / "stand_in.c", Path(t) / "versions"
        functions = [f for fs in versions.values() for f in fs]
        source.write_text("".join(f"int {f}(void) {{ return {NO_DEVICE}; }}\n" for f in functions))
        script.write_text("".join(f"{v} {{ {'; '.join(fs)}; }};\n" for v, fs in versions.items() if v))
        scripted = [f"-Wl,--version-script={script}"] if script.read_text() else []
        output("cc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{path.name}", *scripted, "-o", path, source)


def main() -> None:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise SystemExit("torch is not installed: pip install --no-deps --requirement requirements-test.lock")
    if not loads():
        print("torch loads: nothing to do")
        return
    folder = Path(spec.origin).parent / "lib"
    made = stand_ins(sorted(folder.glob("*.so*")))
    for name, versions in made.items():
        build(folder / name, versions)
    if said := loads():
        for name in made:
            (folder / name).unlink()
        raise SystemExit(f"torch does not load without its CUDA packages: {said}\nInstall requirements.lock instead (6 GB).")
    print(f"torch loads, with stand-ins for {len(made)} CUDA libraries")


if __name__ == "__main__":
    main()
