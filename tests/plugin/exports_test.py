"""What libnccl-net-longhaul.so shows and asks of the system: exports_test.py LIBRARY.

Exactly NCCL's symbols are exported; only the C and C++ run-time libraries are needed; no newer versions of them than
Debian 12 has; and the library stays loaded when it is closed.
"""

import re
import subprocess
import sys

EXPORTS = {f"ncclNetPlugin_v{v}" for v in range(8, 13)} | {f"ncclCollNetPlugin_v{v}" for v in range(8, 13)} | {
    f"ncclTunerPlugin_v{v}" for v in range(3, 7)}
LIBRARIES = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"}
LOADERS = re.compile(r"linux-vdso\.so\.1|.*/ld-linux-[a-z0-9_-]+\.so\.[12]")
NEWEST = {"GLIBC": (2, 36), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "GCC": (12, 0, 0)}


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def faults_of_exports(library):
    lines = [line.split() for line in output_of("nm", "-D", "--defined-only", library).splitlines()]
    exported = {line[-1].split("@")[0] for line in lines}
    for name in sorted(exported - EXPORTS):
        yield f"exports {name}, which is not for NCCL"
    for name in sorted(EXPORTS - exported):
        yield f"does not export {name}"
    for *_, kind, name in lines:
        if kind not in "BDR":
            yield f"exports {name} as '{kind}', not as data"


def faults_of_libraries(library):
    for line in output_of("ldd", library).splitlines():
        name = line.split()[0]
        if name not in LIBRARIES and not LOADERS.fullmatch(name):
            yield f"needs {name}"


def faults_of_versions(library):
    needed = {}
    for family, version in re.findall(r"\b([A-Z]+)_([0-9.]+)\b", output_of("objdump", "-p", library)):
        if family in NEWEST:
            number = tuple(map(int, version.split(".")))
            needed[family] = max(needed.get(family, ()), number)
    for family, version in sorted(needed.items()):
        text = ".".join(map(str, version))
        print(f"needs {family}_{text}")
        if version > NEWEST[family]:
            yield f"needs {family}_{text}, newer than Debian 12's"
    if "GLIBC" not in needed:
        yield "asks no version of GLIBC: this test cannot read the library"


def faults_of_flags(library):
    if "NODELETE" not in output_of("readelf", "--dynamic", library):
        yield "can be unloaded while its threads run: no NODELETE flag"


def main():
    library = sys.argv[1]
    checks = faults_of_exports, faults_of_libraries, faults_of_versions, faults_of_flags
    faults = [fault for check in checks for fault in check(library)]
    for fault in faults:
        print(f"{library}: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
