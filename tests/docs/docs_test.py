#!/usr/bin/env python3
"""docs_test.py ROOT: holds the documents against the tree.

- README.md's C++ is examples/all_reduce.cc from its first include on.
- Relative links lead to files, and their fragments to headings.
- Names of files, written as `src/...`, are files or folders (or programs, made of one source of that name).
- Variables, written as `LONGHAUL_...`, are options, or settings of the build.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
TREE = r"(?:include|src|plugins|tests|benchmarks|tools|scripts|examples|docs|cmake)"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Read by others of the tree than the library.
OTHER_VARIABLES = {"LONGHAUL_LAB", "LONGHAUL_FUZZ_SECONDS", "LONGHAUL_FUZZ_BUILD", "LONGHAUL_"}


def documents():
    return [path for path in ROOT.rglob("*.md") if path.relative_to(ROOT).parts[0] not in ("build", ".git")]


def anchors(text):
    """The fragments of a document's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ +(.*)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def options():
    table = (ROOT / "src/base/options.cc").read_text() + (ROOT / "src/base/option_table.cc").read_text()
    build = (ROOT / "CMakeLists.txt").read_text()
    return set(re.findall(r"LONGHAUL_[A-Z_]+", table + build)) | OTHER_VARIABLES


def check_example(faults):
    blocks = re.findall(r"^```cpp\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    source = (ROOT / "examples/all_reduce.cc").read_text()
    if blocks != [source[source.index("#include"):]]:
        faults.append("README.md: its C++ is not examples/all_reduce.cc from the first include on")


def check_links(path, text, faults):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        to = (path.parent / name).resolve() if name else path
        if not to.exists():
            faults.append(f"{path.relative_to(ROOT)}: no {target}")
        elif fragment and to.suffix == ".md" and fragment not in anchors(to.read_text()):
            faults.append(f"{path.relative_to(ROOT)}: no heading for {target}")


def check_names(path, text, known, faults):
    for name in re.findall(rf"`({TREE}/[\w./-]+)`", text):
        if "NAME" in name:  # stands for any
            continue
        if not (ROOT / name).exists() and not (ROOT / f"{name}.cc").exists():
            faults.append(f"{path.relative_to(ROOT)}: no {name}")
    for variable in re.findall(r"LONGHAUL_[A-Z_]*", text):
        if variable not in known and not variable.startswith("LONGHAUL_TEST_"):
            faults.append(f"{path.relative_to(ROOT)}: no option {variable}")


def check_nccl_variables(faults):
    """What `longhaul nccl-conf` writes has its place in docs/nccl.md, or its reason in the file itself."""
    advice = (ROOT / "plugins/nccl/advice/advice.cc").read_text()
    document = (ROOT / "docs/nccl.md").read_text()
    for variable in set(re.findall(r'"(LONGHAUL_[A-Z_]+)"', advice)):
        if variable not in document:
            faults.append(f"docs/nccl.md: no word of {variable}, which `longhaul nccl-conf` writes")


def main():
    faults = []
    check_example(faults)
    check_nccl_variables(faults)
    known = options()
    for path in documents():
        text = path.read_text()
        check_links(path, text, faults)
        check_names(path, text, known, faults)
    print("\n".join(faults) or "the documents fit the tree")
    return 1 if faults else 0


sys.exit(main())
