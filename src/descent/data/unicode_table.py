#!/usr/bin/env python3
"""Writes unicode_table.cpp: the ranges of letters (category L) and numbers (N) of Unicode.

    python3 src/descent/data/unicode_table.py        (made with Python 3.11: Unicode 14)
"""
import pathlib
import sys
import unicodedata


def ranges(category):
    found, begin = [], None
    for point in range(sys.maxunicode + 2):
        inside = point <= sys.maxunicode and unicodedata.category(chr(point))[0] == category
        if inside and begin is None:
            begin = point
        if not inside and begin is not None:
            found.append((begin, point - 1))
            begin = None
    return found


def table(name, category):
    cells = [f"{{0x{low:X}, 0x{high:X}}}," for low, high in ranges(category)]
    lines, line = [], "   "
    for cell in cells:
        if len(line) + 1 + len(cell) > 100:
            lines.append(line)
            line = "   "
        line += " " + cell
    return f"constexpr Range {name}[] = {{\n" + "\n".join(lines + [line]) + "\n};\n"


text = f"""// Written by unicode_table.py: Unicode {unicodedata.unidata_version}.
// clang-format off
#include <algorithm>
#include <iterator>

#include "descent/data/unicode.h"

namespace descent::data {{
namespace {{

struct Range {{
  char32_t low, high;
}};
{table("kLetters", "L")}{table("kNumbers", "N")}
template <class Ranges>
bool contains(const Ranges& ranges, char32_t c) {{
  const auto* above = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                       [](char32_t x, const Range& r) {{ return x < r.low; }});
  return above != std::begin(ranges) && c <= std::prev(above)->high;
}}

}}  // namespace

bool is_letter(char32_t c) {{ return contains(kLetters, c); }}
bool is_number(char32_t c) {{ return contains(kNumbers, c); }}

}}  // namespace descent::data
"""
(pathlib.Path(__file__).parent / "unicode_table.cpp").write_text(text)
