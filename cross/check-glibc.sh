#!/bin/sh
# Checks the newest glibc symbol version that a binary asks for.
#
#   cross/check-glibc.sh BINARY [FLOOR]     FLOOR is 2.27 when it is not given; `none`: a static binary
set -eu
[ $# -ge 1 ] || {
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
exec "$(dirname "$0")/.venv/bin/python" - "$1" "${2:-2.27}" <<'PYTHON'
import sys
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

path, floor = sys.argv[1], sys.argv[2]
number = lambda version: tuple(int(part) for part in version.split("."))
needs = set()
with open(path, "rb") as file:
    elf = ELFFile(file)
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                needs |= {v.name.removeprefix("GLIBC_") for v in versions if v.name.startswith("GLIBC_2")}
    dynamic = elf.get_section_by_name(".dynamic")
    libraries = [t.needed for t in dynamic.iter_tags("DT_NEEDED")] if dynamic else []
if floor == "none" and libraries:
    sys.exit(f"{path}: should be static, but needs {' '.join(libraries)}")
if not needs:
    print(f"{path}: needs no glibc" if not libraries else f"{path}: no version of glibc is stated")
    sys.exit(0)
newest = max(needs, key=number)
print(f"{path}: needs glibc {newest}, may need {floor}; libraries: {' '.join(libraries)}")
if floor == "none" or number(newest) > number(floor):
    sys.exit(f"{path}: glibc {newest} is more than the promised {floor}")
PYTHON
