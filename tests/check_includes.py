#!/usr/bin/env python3
"""Dependencies point downwards only: checks the #include lines of src/descent against the
descent_room(...) lines of the root CMakeLists.txt.

  check_includes.py [ROOT]      check the tree; prints each violation as file:line: what
  check_includes.py --self-test prove that each kind of violation is found
"""
import pathlib
import re
import sys
import tempfile

ROOM = re.compile(r"^\s*descent_room\(\s*(\w+)(?:\s+NEEDS\s+([^)]*))?\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def read_rooms(cmake):
    text = re.sub(r"#.*", "", cmake.read_text())
    return {name: needs.split() for name, needs in ROOM.findall(text)}


def check_rooms(rooms):
    """Every needed room exists and stands above the one that needs it; so there is no cycle."""
    seen = set()
    for name, needs in rooms.items():
        for need in needs:
            if need not in rooms:
                yield f"CMakeLists.txt: room {name} needs {need}, which is no room"
            elif need not in seen:
                yield (f"CMakeLists.txt: room {name} needs {need}, which is declared later: "
                       "a cycle, or rooms out of order (lowest first)")
        seen.add(name)


def below(rooms, name):
    found, todo = set(), [name]
    while todo:
        room = todo.pop()
        if room not in found:
            found.add(room)
            todo += [need for need in rooms.get(room, []) if need in rooms]
    return found


def check(root):
    rooms = read_rooms(root / "CMakeLists.txt")
    if not rooms:
        yield "CMakeLists.txt: no descent_room(...) line found"
    yield from check_rooms(rooms)
    source = root / "src" / "descent"
    for path in sorted(source.rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        where = path.relative_to(root)
        parts = path.relative_to(source).parts
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.suffix == ".h" and not guarded(lines):
            yield f"{where}:1: no #pragma once (a header without one says `No include guard`)"
        umbrella = len(parts) == 1
        if umbrella and path.name != "descent.h":
            yield f"{where}:1: only descent.h may lie outside a room"
            continue
        if not umbrella and parts[0] not in rooms:
            yield f"{where}:1: src/descent/{parts[0]} is no room of CMakeLists.txt"
            continue
        allowed = set(rooms) if umbrella else below(rooms, parts[0])
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, name = match.groups()
            if name == "descent/descent.h":
                yield f"{where}:{number}: the umbrella header is for users of the library"
            elif name.startswith("descent/"):
                room = name.split("/")[1]
                if room not in allowed:
                    yield (f"{where}:{number}: {parts[0]} may not include {name}: {room} is not "
                           f"among what it needs ({' '.join(sorted(allowed - {parts[0]})) or 'nothing'})")
            elif quote == '"' and (path.parent / name).exists():
                yield f'{where}:{number}: write the path from src/: "descent/..." instead of "{name}"'


def guarded(lines):
    """#pragma once; or a file meant to be included again, which says so: Highway's per-target
    toggle, or the words `No include guard`."""
    return any(line.strip() == "#pragma once" or "HWY_TARGET_TOGGLE" in line
               or "No include guard" in line for line in lines)


def self_test():
    good = {
        "CMakeLists.txt": "descent_room(base)\ndescent_room(ir NEEDS base)\n"
                          "# descent_room(ghost)\ndescent_room(ops\n  NEEDS ir)\ndescent_room(io NEEDS base)\n",
        "src/descent/descent.h": '#pragma once\n#include "descent/ops/c.h"\n#include "descent/io/d.h"\n',
        "src/descent/base/a.h": "#pragma once\n#include <vector>\n",
        "src/descent/base/table.h": "// No include guard: included several times.\n",
        "src/descent/ir/b.h": '#pragma once\n#include "descent/base/a.h"\n#include "descent/ir/e.h"\n',
        "src/descent/ops/c.cpp": '#include "descent/base/a.h"\n  #  include <descent/ir/b.h>\n',
        "src/descent/io/d.cpp": '// #include "descent/ops/c.h"\n#include "hwy/highway.h"\n',
    }
    bad = {  # what is changed: what must be reported
        "upwards": ({"src/descent/base/a.h": '#pragma once\n#include "descent/ir/b.h"\n'},
                    "src/descent/base/a.h:2: base may not include descent/ir/b.h"),
        "sideways": ({"src/descent/io/d.cpp": "#include <descent/ops/c.h>\n"},
                     "src/descent/io/d.cpp:1: io may not include"),
        "cycle": ({"CMakeLists.txt": "descent_room(base NEEDS ir)\ndescent_room(ir NEEDS base)\n"
                                     "descent_room(ops NEEDS ir)\ndescent_room(io NEEDS base)\n"},
                  "room base needs ir, which is declared later"),
        "unknown need": ({"CMakeLists.txt": good["CMakeLists.txt"] + "descent_room(x NEEDS y)\n"},
                         "room x needs y, which is no room"),
        "unknown room": ({"src/descent/attic/x.cpp": "\n"}, "src/descent/attic is no room"),
        "no room": ({"src/descent/x.cpp": "\n"}, "only descent.h may lie outside a room"),
        "no guard": ({"src/descent/ir/e.h": "int x;\n"}, "src/descent/ir/e.h:1: no #pragma once"),
        "relative": ({"src/descent/ir/x.cpp": '#include "../ops/c.cpp"\n'},
                     "src/descent/ir/x.cpp:1: write the path from src/"),
        "umbrella": ({"src/descent/ir/x.cpp": '#include "descent/descent.h"\n'},
                     "src/descent/ir/x.cpp:1: the umbrella header is for users"),
        "no rooms": ({"CMakeLists.txt": "project(descent)\n"}, "no descent_room(...) line found"),
    }

    def run(files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(check(pathlib.Path(folder)))

    failed = 0
    found = run(good)
    if found:
        failed += 1
        print("a good tree is reported:", *found, sep="\n  ")
    for name, (change, expected) in bad.items():
        found = run(good | change)
        if not any(expected in line for line in found):
            failed += 1
            print(f"{name}: not reported: {expected}", *found, sep="\n  ")
    print(f"self-test: {len(bad) + 1} trees, {failed} wrong")
    return failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    violations = list(check(root))
    for line in violations:
        print(line)
    if not violations:
        print(f"includes point downwards only: {len(read_rooms(root / 'CMakeLists.txt'))} rooms")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
