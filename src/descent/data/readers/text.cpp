// Plain texts for language models: a file, or a folder of .txt files.
#include "descent/data/text.h"

#include <algorithm>
#include <filesystem>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/data/registry.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

// Whether every word of a line is a number.
bool is_numbers(std::string_view line) {
  bool any = false;
  while (!line.empty()) {
    const auto begin = std::min(line.find_first_not_of(" \t,;"), line.size());
    const auto end = std::min(line.find_first_of(" \t,;", begin), line.size());
    double x;
    if (begin < end && !parse_number(line.substr(begin, end - begin), x)) return false;
    any |= begin < end;
    line.remove_prefix(end);
  }
  return any;
}

// Lines of numbers, or two lines or more that all have the same number of tabs (commas,
// semicolons): a table, whatever its name.
bool is_table(std::string_view text) {
  constexpr std::string_view separators = "\t;,";
  std::ptrdiff_t fields[3] = {0, 0, 0};
  bool same[3] = {true, true, true}, numbers = true;
  int lines = 0;
  while (!text.empty() && lines < 50) {
    const auto end = std::min(text.find_first_of("\r\n"), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    for (std::size_t k = 0; k < 3; ++k) {
      const auto n = std::count(line.begin(), line.end(), separators[k]);
      if (lines == 0) fields[k] = n;
      same[k] = same[k] && n == fields[k] && n > 0;
    }
    numbers = numbers && is_numbers(line);
    ++lines;
  }
  return lines > 0 && (numbers || (lines > 1 && std::ranges::any_of(same, std::identity())));
}

bool is_text_file(const fs::path& path) {
  const auto extension = path.extension() == ".gz" || path.extension() == ".zst"
                             ? path.stem().extension()
                             : path.extension();
  return extension == ".txt";
}

std::vector<fs::path> text_files(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_regular_file(error) && is_text_file(entry.path())) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

Table table_of(std::string text, const std::string& where) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw Error(ErrorKind::data, "the text is UTF-16, expected UTF-8", where,
                "convert it: iconv -f UTF-16 -t UTF-8");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (text.empty()) throw Error(ErrorKind::data, "the text is empty", where);
  Table table;
  table.where = where;
  table.text = std::move(text);
  return table;
}

// Files one after another, each ending a line.
Table join(const std::vector<fs::path>& files, const std::string& where) {
  std::string text;
  for (const auto& file : files) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += read_unpacked(file.string());
  }
  return table_of(std::move(text), where);
}

// train.txt, valid.txt and test.txt are the parts; else all files together, in order of name.
Tables read_folder(const std::string& folder) {
  const auto files = text_files(folder);
  const auto find = [&](std::initializer_list<const char*> names) -> std::optional<Table> {
    for (const auto& file : files) {
      const auto name = file.filename().string();
      for (const std::string wanted : names) {
        if (name.starts_with(wanted + ".txt")) return join({file}, file.string());
      }
    }
    return std::nullopt;
  };
  auto train = find({"train"});
  if (!train) return {.train = join(files, folder)};
  return {.train = std::move(*train),
          .valid = find({"valid", "validation", "val", "dev"}),
          .test = find({"test"})};
}

int recognise(const Origin& origin) {
  if (origin.folder) return text_files(origin.path).empty() ? 0 : 20;
  return origin.extension == "txt" && !origin.bytes.empty() && !is_table(origin.bytes) ? 20 : 0;
}

Tables read(const Origin& origin, const Options&, std::uint64_t) {
  if (origin.folder) return read_folder(origin.path);
  return {.train = table_of(origin.bytes, origin.path)};
}

}  // namespace

void register_text(ReaderRegistry& registry) {
  registry.add({.name = "text",
                .help =
                    "a plain text for a language model: a .txt that is no table, or a folder of "
                    "them (train.txt, valid.txt and test.txt are its parts, else all one after "
                    "another)",
                .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
