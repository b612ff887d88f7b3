// Files that are not what they should be: each must give an error of kind data that says what,
// where and what was expected.
#include "descent/data/cifar.h"
#include "descent/data/csv.h"
#include "descent/data/idx.h"
#include "descent/data/image.h"
#include "descent/data/libsvm.h"
#include "descent/data/npy.h"
#include "descent/data/pipeline.h"
#include "tests/data/images.h"

namespace descent::data {
namespace {

using Fragments = std::vector<std::string>;

struct Case {
  const char* name;
  std::string bytes;
  Fragments expected;  // parts of the message
};

template <class Parse>
void run(const std::vector<Case>& cases, Parse parse) {
  for (const auto& [name, bytes, expected] : cases) {
    SCOPED_TRACE(name);
    expect_error([&] { parse(bytes); }, ErrorKind::data, expected);
  }
}

std::string zeros(std::size_t n) { return std::string(n, '\0'); }

TEST(Malformed, Csv) {
  const std::string ten = "1,1\n2,1\n3,1\n4,1\n5,1\n6,1\n7,1\n8,1\n9,1\n0,1\n";
  const std::string unclosed_late = "a,b\n1,2\n3,\"x\n4,5\n";
  run({{"empty", "", {"t.csv", "no rows"}},
       {"blank lines", "\n  \n\r\n", {"t.csv", "no rows"}},
       {"byte order mark alone", "\xEF\xBB\xBF", {"t.csv", "no rows"}},
       {"header alone", "a,b\n", {"t.csv", "no rows"}},
       {"header alone without newline", "name,age", {"no rows"}},
       {"UTF-16 little",
        std::string("\xFF\xFE"
                    "a\0,\0",
                    6),
        {"t.csv:1:1", "UTF-16", "iconv"}},
       {"UTF-16 big",
        std::string("\xFE\xFF"
                    "\0a\0,",
                    6),
        {"t.csv:1:1", "UTF-16"}},
       {"binary", std::string("PK\x03\x04\0\0", 6), {"t.csv", "byte 4 is 0", "data.source"}},
       {"too few fields", "a,b,c\n1,2,3\n4,5\n", {"t.csv:3:1", "expected 3 fields, found 2"}},
       {"too many fields",
        "a,b\n1,2\n3,4,5\n",
        {"t.csv:3:1", "expected 2 fields, found 3", "data.separator"}},
       {"trailing separator", "a,b\n1,2\n3,4,\n", {"t.csv:3:1", "expected 2 fields, found 3"}},
       {"one field", "a,b\n1,2\n5\n6,7\n", {"t.csv:3:1", "found 1"}},
       {"text among numbers",
        "age,b\n" + ten + "abc,1\n",
        {"t.csv:12:1", "expected a number in column \"age\", found \"abc\"", "data.missing"}},
       {"text in the second column",
        "a,b\n" + ten + "11,x y\n",
        {"t.csv:12:4", "column \"b\"", "\"x y\""}},
       {"infinity", "a,b\n" + ten + "inf,1\n", {"t.csv:12:1", "\"inf\""}},
       {"overflow", "a,b\n" + ten + "1e999,1\n", {"t.csv:12:1", "\"1e999\""}},
       {"two points", "a,b\n" + ten + "1.2.3,1\n", {"t.csv:12:1", "\"1.2.3\""}},
       {"unprintable", "a,b\n" + ten + "\x01\xFF,1\n", {"\"\\x01\\xff\""}},
       {"long cell", "a,b\n" + ten + std::string(100, 'y') + ",1\n", {"yyyy...\""}},
       {"open quote in the header", "\"a,b\n1,2\n", {"t.csv:1:1", "never closed", "data.quote"}},
       {"open quote", unclosed_late, {"t.csv:3:1", "never closed"}},
       {"text behind a quote", "a,b\n1,2\n\"x\"y,2\n", {"t.csv:3:1", "after the closing quote"}},
       {"after embedded newlines", "a,b\n\"x\n\n\",2\n3\n", {"t.csv:5:1", "found 1"}}},
      [](const std::string& bytes) { parse_csv(bytes, "t.csv", {.strict = true}); });
  // More bad rows than good ones are an error even where single ones are left out.
  run({{"mostly bad", "a,b\n1,2\n3\n4\n5\n", {"t.csv", "3 of 4 rows are malformed", "t.csv:3:1"}}},
      [](const std::string& bytes) { parse_csv(bytes, "t.csv", {}); });
}

// A text for a language model, by default one token a character.
TEST(Malformed, Text) {
  const auto load_text = [](const std::string& bytes) {
    load(with({{"path", TemporaryFolder().write("t.txt", bytes)}, {"task", "language"}}), 1);
  };
  const std::string long_text(300, 'a');
  run({{"empty", "", {"t.txt", "the text is empty"}},
       {"byte order mark alone", "\xEF\xBB\xBF", {"t.txt", "the text is empty"}},
       {"UTF-16", std::string("\xFE\xFF\0a\0b", 6), {"t.txt", "UTF-16", "iconv"}},
       {"Latin-1", "caf\xE9 " + long_text, {"byte 3", "\"\\xe9\"", "not UTF-8", "\"byte\""}},
       {"cut character", long_text + "\xE2\x82", {"t.txt", "byte 300", "not UTF-8"}},
       {"continuation alone", long_text + "\x80 b", {"byte 300", "not UTF-8"}},
       {"overlong", long_text + "\xC0\xAF", {"byte 300", "not UTF-8"}},
       {"surrogate", long_text + "\xED\xA0\x80", {"byte 300", "not UTF-8"}},
       {"beyond Unicode", long_text + "\xF5\x80\x80\x80", {"byte 300", "not UTF-8"}},
       {"shorter than a window", "a b", {"t.txt", "data.context = 256", "smaller data.context"}}},
      load_text);
}

// Texts with classes.
TEST(Malformed, TableOfTexts) {
  const auto load_table = [](const std::string& bytes) {
    load(with({{"path", TemporaryFolder().write("t.tsv", bytes)},
               {"target", "label"},
               {"strict", true}}),
         1);
  };
  const std::string head = "text\tlabel\n", good = "a fine film\tyes\na poor film\tno\n";
  run({{"empty", "", {"t.tsv", "no rows"}},
       {"no text", head, {"t.tsv", "no rows"}},
       {"without a label",
        head + "a fine film\t\na poor film\t\n",
        {"t.tsv", "target \"label\" is empty in every row", "data.target"}},
       {"one label",
        head + "a fine film\tyes\na poor film\tyes\n",
        {"target \"label\" is the same in every row: \"yes\"", "data.target"}},
       {"a column too many",
        head + good + "a film\tyes\tno\n",
        {"t.tsv:4:1", "expected 2 fields, found 3"}},
       {"a column too few", head + good + "a film\n", {"t.tsv:4:1", "expected 2 fields, found 1"}}},
      load_table);
  // Single rows without a label are left out, and said.
  std::string mixed = head + "a film\t\n";
  for (int i = 0; i < 10; ++i) mixed += good;
  const auto splits =
      load(with({{"path", TemporaryFolder().write("t.tsv", mixed)}, {"target", "label"}}), 1);
  EXPECT_THAT(splits.warnings, testing::Contains(testing::HasSubstr("1 row without a target")));
}

TEST(Malformed, Idx) {
  run({{"empty", "", {"t.idx", "byte 0"}},
       {"cut magic", zeros(3), {"byte 0", "IDX"}},
       {"text", "hello world", {"byte 0", "two zero bytes"}},
       {"unknown type", idx_file(0x0A, {1}, "x"), {"byte 2", "0x0a", "expected 0x08"}},
       {"rank 0", idx_file(0x08, {}, ""), {"byte 3", "rank 0"}},
       {"rank 200", std::string("\0\0\x08\xC8", 4) + zeros(800), {"byte 3", "rank 200"}},
       {"cut extents",
        std::string("\0\0\x08\x03\0\0\0\x02", 8),
        {"ends at byte 8", "3 extents", "complete"}},
       {"cut elements",
        idx_file(0x08, {2, 3}, "12345"),
        {"byte 12", "5 bytes of elements, expected 6", "[2, 3]"}},
       {"too many elements", idx_file(0x08, {2}, "123"), {"3 bytes of elements, expected 2"}},
       {"no elements", idx_file(0x08, {0, 28}, ""), {"byte 4", "an extent is 0"}},
       {"overflow", idx_file(0x0E, {~0u, ~0u, ~0u, ~0u}, ""), {"byte 8", "too large"}},
       {"huge extent", idx_file(0x08, {~0u}, "abc"), {"expected 4294967295"}},
       {"half a double", idx_file(0x0E, {1}, "abcd"), {"4 bytes of elements, expected 8"}}},
      [](const std::string& bytes) { decode_idx(bytes, "t.idx"); });
}

TEST(Malformed, Npy) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  const auto header = [](const std::string& text) { return npy_file(text, zeros(8)); };
  run({{"empty", "", {"t.npy", "byte 0", "NUMPY"}},
       {"other magic", "\x93NUMPX\x01" + zeros(9), {"byte 0"}},
       {"cut magic", "\x93NUMPY\x01", {"ends at byte 7"}},
       {"version 4", npy_file(good, zeros(8), 4), {"byte 6: version 4", "expected 1, 2 or 3"}},
       {"cut length of version 2", npy_file("", "", 2).substr(0, 11), {"ends at byte 11"}},
       {"header over the end",
        npy_file(good, "").substr(0, 40),
        {"byte 8", "header is said to have 57 bytes", "30 more"}},
       {"length over 4 GiB",
        std::string("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF{}", 14),
        {"4294967295 bytes"}},
       {"cut elements",
        npy_file(good, zeros(7)),
        {"byte 67: 7 bytes of elements, expected 8", "float32 [2]", "complete"}},
       {"too many elements", npy_file(good, zeros(9)), {"9 bytes of elements, expected 8"}},
       {"no dictionary", header("[1, 2]"), {"byte 10: header: expected {"}},
       {"empty header", header(""), {"expected {"}},
       {"unclosed dictionary", header("{'descr': '<f4', "), {"expected a quoted text"}},
       {"missing keys", header("{'descr': '<f4', }"), {"expected the keys"}},
       {"unknown key", header("{'descr': '<f4', 'order': 1}"), {"unknown key \"order\""}},
       {"big-endian",
        header("{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}"),
        {"\">f4\" is not supported", "astype"}},
       {"half precision",
        header("{'descr': '<f2', 'fortran_order': False, 'shape': (2,)}"),
        {"\"<f2\"", "astype"}},
       {"objects", header("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"), {"\"|O\""}},
       {"records",
        header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}"),
        {"record"}},
       {"order",
        header("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}"),
        {"expected True or False"}},
       {"negative extent",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}"),
        {"shape: expected a number"}},
       {"text as shape",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': 'x'}"),
        {"expected ("}},
       {"unclosed shape",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (2"),
        {"expected , or )"}},
       {"huge extent",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"),
        {"number is too large"}},
       {"overflow",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
        {"[4294967296, 4294967296] is too large"}},
       {"overflow beside 0",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296)}"),
        {"too large"}},
       {"rank 33",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (" +
               [] {
                 std::string s;
                 for (int i = 0; i < 33; ++i) s += "1,";
                 return s;
               }() +
               ")}"),
        {"more than 32 axes"}}},
      [](const std::string& bytes) { decode_npy(bytes, "t.npy"); });
}

TEST(Malformed, Libsvm) {
  run({{"empty", "", {"t.svm", "no rows"}},
       {"comments alone", "# a\n#b", {"no rows"}},
       {"label", "abc 1:1\n", {"t.svm:1:1", "expected a number as label, found \"abc\""}},
       {"several labels", "1 1:1\n1,2 1:1\n", {"t.svm:2:1", "\"1,2\""}},
       {"no colon", "1 1:1 5\n", {"t.svm:1:7", "expected index:value, found \"5\""}},
       {"index 0", "1 0:1\n", {"t.svm:1:3", "expected an index from 1", "\"0\""}},
       {"negative index", "1 -1:1\n", {"t.svm:1:3", "\"-1\""}},
       {"huge index", "1 99999999999:1\n", {"\"99999999999\"", "2147483647"}},
       {"fractional index", "1 1.5:1\n", {"\"1.5\""}},
       {"no index", "1 :1\n", {"t.svm:1:3", "\"\""}},
       {"no value", "1 1:\n", {"t.svm:1:5", "expected a number, found \"\""}},
       {"value", "1 1:1 2:x\n", {"t.svm:1:9", "found \"x\""}},
       {"infinite value", "1 1:inf\n", {"t.svm:1:5"}},
       {"beyond float32", "1 1:1e39\n", {"t.svm:1:5", "\"1e39\""}},
       {"descending", "1 1:1\n1 3:1 2:1\n", {"t.svm:2:7", "index 2 after 3", "ascending"}},
       {"twice", "1 3:1 3:1\n", {"index 3 after 3"}}},
      [](const std::string& bytes) { parse_libsvm(bytes, "t.svm", true); });
  run({{"mostly bad", "1 1:1\nx\ny\n", {"2 of 3 rows are malformed; the first: t.svm:2:1"}}},
      [](const std::string& bytes) { parse_libsvm(bytes, "t.svm", false); });
}

TEST(Malformed, Cifar) {
  const std::string two = cifar_file({"\x01", "\x02"});
  run({{"empty", "", {"t.bin", "0 bytes are no whole number of images of 3073"}},
       {"cut", two.substr(0, 6000), {"6000 bytes", "ends at byte 3073", "complete"}},
       {"one byte more", two + "x", {"6147 bytes", "ends at byte 6146"}},
       {"label 10", cifar_file({"\x01", "\x0A"}), {"byte 3073: label 10, expected 0 to 9"}},
       {"label 255", cifar_file({"\xFF"}), {"byte 0: label 255"}},
       {"coarse label",
        cifar_file({std::string{19, 1}, std::string{20, 1}}),
        {"byte 3074: label 20, expected 0 to 19"}},
       {"fine label", cifar_file({std::string{19, 100}}), {"byte 1: label 100, expected 0 to 99"}}},
      [](const std::string& bytes) {
        decode_cifar({{bytes, "t.bin"}});
      });
  const std::string other = cifar_file({std::string{1, 1}});
  expect_error(
      [&] {
        decode_cifar({{two, "a.bin"}, {other, "b.bin"}});
      },
      ErrorKind::data, {"b.bin", "3074 bytes", "3073 bytes, as in the first"});
}

TEST(Malformed, Png) {
  const std::string good = plain_png(20, 20, 1, 2, 3);
  std::string flipped = good;
  flipped[50] = static_cast<char>(flipped[50] ^ 0x10);
  std::string huge = good;
  huge.replace(16, 8, "\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF");
  run({{"empty", "", {"t.png", "empty"}},
       {"text", "hello world", {"byte 0: not the begin of a JPEG or a PNG"}},
       {"signature alone", good.substr(0, 8), {"the PNG does not decode"}},
       {"cut header", good.substr(0, 20), {"the PNG does not decode"}},
       {"cut pixels", good.substr(0, good.size() - 20), {"the PNG does not decode"}},
       {"damaged pixels", flipped, {"the PNG does not decode"}},
       {"huge", huge, {"t.png"}}},
      [](const std::string& bytes) { decode_image(bytes, "t.png"); });
}

TEST(Malformed, Jpeg) {
  Bytes noise;
  for (unsigned i = 0; i < 64 * 64 * 3; ++i) {
    noise.push_back(static_cast<std::uint8_t>(i * 2654435761U >> 13));
  }
  const std::string good = jpeg_file(64, 64, JCS_RGB, 3, noise);
  std::string no_size = good;
  const auto frame = good.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  no_size.replace(frame + 5, 4, std::string(4, '\0'));
  run({{"magic alone", "\xFF\xD8\xFF", {"t.jpg", "the JPEG does not decode"}},
       {"cut header", good.substr(0, 100), {"the JPEG does not decode"}},
       {"cut half", good.substr(0, good.size() / 2), {"the JPEG does not decode", "remature end"}},
       {"cut end", good.substr(0, good.size() - 2), {"the JPEG does not decode"}},
       {"no size", no_size, {"the JPEG does not decode"}},
       {"two bytes", "\xFF\xD8", {"byte 0"}}},
      [](const std::string& bytes) { decode_image(bytes, "t.jpg"); });
  // Bytes behind the end do no harm.
  EXPECT_EQ(decode_image(good + "stray", "t.jpg").width, 64);
}

}  // namespace
}  // namespace descent::data
