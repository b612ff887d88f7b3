#include "descent/data/csv.h"

#include <cmath>

#include "tests/data/support.h"

namespace descent::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Table parse(std::string_view text, const CsvOptions& options = {}) {
  return parse_csv(text, "t.csv", options);
}

std::vector<std::string> texts(const Column& column) {
  std::vector<std::string> out;
  for (const auto code : column.codes) {
    out.push_back(code < 0 ? "<missing>" : column.dictionary[static_cast<std::size_t>(code)]);
  }
  return out;
}

TEST(Csv, HeaderNumbersAndTexts) {
  const Table t = parse("age,name,height\n31,Ada,1.75\n42,Bob,-2e-3\n");
  EXPECT_EQ(t.rows, 2);
  EXPECT_FALSE(t.names_generated);
  EXPECT_THAT(t.names(), ElementsAre("age", "name", "height"));
  EXPECT_THAT(t.columns[0].numbers, ElementsAre(31, 42));
  EXPECT_THAT(texts(t.columns[1]), ElementsAre("Ada", "Bob"));
  EXPECT_THAT(t.columns[2].numbers, ElementsAre(1.75, -2e-3));
  EXPECT_THAT(t.origin, ElementsAre(2, 3));
}

TEST(Csv, NoHeaderNamesColumnsByNumber) {
  const Table t = parse("5.1,3.5,setosa\n4.9,3.0,setosa\n");
  EXPECT_TRUE(t.names_generated);
  EXPECT_THAT(t.names(), ElementsAre("c0", "c1", "c2"));
  EXPECT_EQ(t.rows, 2);
}

TEST(Csv, HeaderDetection) {
  struct Case {
    const char* text;
    bool header;
  };
  // Texts above numbers; texts that never come again; but not texts that do, nor numbers.
  for (const auto& [text, header] : {Case{"a,b\n1,2\n", true},
                                     {"a,b\n1,x\n2,y\n", true},
                                     {"1,2\n3,4\n", false},
                                     {"color,size\nred,big\nblue,big\n", true},
                                     {"red,big\nblue,big\nred,small\n", false},
                                     {"2019,2020\n1,2\n", false},
                                     {",a\n0,1\n1,2\n", true},
                                     {"a,a\nb,b\n", false}}) {
    EXPECT_EQ(!parse(text).names_generated, header) << text;
  }
  EXPECT_EQ(parse("a,b\n1,2\n", {.header = true}).rows, 1);
  EXPECT_EQ(parse("1,2\n3,4\n", {.header = true}).names(), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(parse("x,y\nz,w\n", {.header = false}).rows, 2);
}

TEST(Csv, QuotesWithSeparatorsQuotesAndNewlines) {
  const Table t =
      parse("id,text\n1,\"a, \"\"b\"\"\"\n2,\"two\nlines\"\n3, \"blank before\" \n4,\"\"\n");
  EXPECT_THAT(texts(t.columns[1]),
              ElementsAre("a, \"b\"", "two\nlines", "blank before", "<missing>"));
  // The row behind an embedded newline still has its right line.
  EXPECT_THAT(t.origin, ElementsAre(2, 3, 5, 6));
  const Table plain = parse("id,text\n1,he said \"no\"\n2,5\" pipe\n");
  EXPECT_THAT(texts(plain.columns[1]), ElementsAre("he said \"no\"", "5\" pipe"));
}

TEST(Csv, OtherQuotesAndNone) {
  const Table single = parse("1,'-1'\n2,'1'\n", {.quote = '\''});
  EXPECT_THAT(single.columns[1].numbers, ElementsAre(-1, 1));
  const Table none = parse("1\t\"open\n2\tb\"\n", {.separator = '\t', .quote = '\0'});
  EXPECT_THAT(texts(none.columns[1]), ElementsAre("\"open", "b\""));
}

TEST(Csv, LineEnds) {
  for (const char* text :
       {"a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4\r", "a,b\n1,2\n3,4",
        "\xEF\xBB\xBF"
        "a,b\n1,2\n3,4\n",
        "\n\na,b\n\n1,2\n   \n3,4\n\n\n"}) {
    const Table t = parse(text);
    EXPECT_THAT(t.names(), ElementsAre("a", "b")) << text;
    EXPECT_THAT(t.columns[0].numbers, ElementsAre(1, 3)) << text;
    EXPECT_THAT(t.columns[1].numbers, ElementsAre(2, 4)) << text;
  }
}

TEST(Csv, Separators) {
  for (const char* text : {"a,b,c\n1,2,3\n", "a;b;c\n1;2;3\n", "a\tb\tc\n1\t2\t3\n",
                           "a b c\n1 2 3\n", "  a   b c \n 1\t2  3\n", "a, b, c\n1, 2, 3\n"}) {
    const Table t = parse(text);
    EXPECT_THAT(t.names(), ElementsAre("a", "b", "c")) << text;
    EXPECT_EQ(t.columns[2].numbers, std::vector<double>{3}) << text;
  }
  // Commas inside of texts do not win over the separator that every line agrees on.
  EXPECT_EQ(parse("t;n\na, b;1\nc;2\nd, e, f;3\n").columns.size(), 2u);
  EXPECT_EQ(parse("a|b\n1|2\n", {.separator = '|'}).columns.size(), 2u);
  EXPECT_EQ(parse("just one\ncolumn of words here\n").columns.size(), 1u);
}

TEST(Csv, MissingCells) {
  const Table t = parse("a,b\n1,x\n?,?\n,\nNA,NA\nNaN,null\n2,y\n");
  EXPECT_EQ(missing_cells(t.columns[0]), 4);
  EXPECT_EQ(missing_cells(t.columns[1]), 4);
  EXPECT_THAT(t.columns[1].dictionary, ElementsAre("x", "y"));
  const Table own = parse("a,b\n1,x\n-,-\n3,?\n", {.missing = {"-", "-"}});
  EXPECT_TRUE(std::isnan(own.columns[0].numbers[1]));
  EXPECT_THAT(texts(own.columns[1]), ElementsAre("x", "<missing>", "?"));
  // A column of nothing but gaps is numeric.
  EXPECT_EQ(parse("a,b\n1,\n2,\n").columns[1].kind, Column::Kind::numeric);
}

TEST(Csv, Numbers) {
  const Table t = parse("a\n+1\n-0\n.5\n5.\n1e3\n 7 \n\"8\"\n123456789012345678\n4.9e-324\n");
  EXPECT_THAT(t.columns[0].numbers,
              ElementsAre(1, 0, 0.5, 5, 1000, 7, 8, 123456789012345678.0, 4.9e-324));
  // What only begins like a number is text.
  EXPECT_EQ(parse("a,b\n1,1949-01\n2,1949-02\n").columns[1].kind, Column::Kind::text);
  EXPECT_EQ(parse("a,b\n1,0x1F\n2,12abc\n").columns[1].kind, Column::Kind::text);
}

TEST(Csv, TextAmongNumbersIsLeftOutAndCounted) {
  std::string text = "age,id\n";
  for (int i = 0; i < 200; ++i) text += i == 10 ? "abc,10\n" : std::to_string(i) + ",1\n";
  const Table t = parse(text);
  EXPECT_EQ(t.rows, 199);
  EXPECT_EQ(t.columns[0].kind, Column::Kind::numeric);
  ASSERT_EQ(t.warnings.size(), 1u);
  EXPECT_THAT(t.warnings[0], HasSubstr("1 malformed row left out; the first: t.csv:12:1: expected "
                                       "a number in column \"age\", found \"abc\""));
  EXPECT_EQ(t.origin[9], 11);
  EXPECT_EQ(t.origin[10], 13);
  expect_error([&] { parse(text, {.strict = true}); }, ErrorKind::data,
               {"t.csv:12:1: expected a number in column \"age\", found \"abc\"", "data.missing"});
}

TEST(Csv, MixedColumnIsTextWithAWarning) {
  std::string text = "code,n\n";
  for (int i = 0; i < 100; ++i) text += (i % 10 == 0 ? "A7" : std::to_string(i % 5)) + ",1\n";
  const Table t = parse(text);
  EXPECT_EQ(t.rows, 100);
  EXPECT_EQ(t.columns[0].kind, Column::Kind::text);
  ASSERT_EQ(t.warnings.size(), 1u);
  EXPECT_THAT(t.warnings[0],
              HasSubstr("column \"code\" is read as categories: 10 of its 100 cells"));
}

// The kinds guessed from the first lines may be wrong: what comes behind must correct them.
TEST(Csv, KindsAreThoseOfTheWholeFile) {
  std::string numbers_first = "a,b\n", texts_first = "a,b\n";
  for (int i = 0; i < 20000; ++i) {
    numbers_first += i < 10000 ? "1,2\n" : "x,2\n";
    texts_first += i < 50 ? "x,2\n" : "1,2\n";
  }
  const Table late = parse(numbers_first);
  EXPECT_EQ(late.columns[0].kind, Column::Kind::text);
  EXPECT_EQ(late.rows, 20000);
  EXPECT_THAT(late.columns[0].dictionary, ElementsAre("1", "x"));
  const Table early = parse(texts_first);  // 0.25 % texts: malformed rows of a numeric column
  EXPECT_EQ(early.columns[0].kind, Column::Kind::numeric);
  EXPECT_EQ(early.rows, 20000 - 50);
}

TEST(Csv, RowsWithTheWrongNumberOfFields) {
  const Table t = parse("a,b\n1,2\n3\n4,5,6\n7,8\n9,10\n");
  EXPECT_EQ(t.rows, 3);
  EXPECT_THAT(t.columns[0].numbers, ElementsAre(1, 7, 9));
  EXPECT_THAT(
      t.warnings[0],
      HasSubstr("2 malformed rows left out; the first: t.csv:3:1: expected 2 fields, found 1"));
}

TEST(Csv, TwiceTheSameName) {
  const Table t = parse("a,a,,a\n1,2,3,4\n");
  EXPECT_THAT(t.names(), ElementsAre("a", "a_2", "c2", "a_3"));
  EXPECT_EQ(t.warnings.size(), 2u);
}

TEST(Csv, Latin1BecomesUtf8) {
  const Table t = parse("city,n\nK\xF6ln,1\nBonn,2\n");
  EXPECT_THAT(t.columns[0].dictionary, ElementsAre("K\xC3\xB6ln", "Bonn"));
  EXPECT_THAT(t.warnings[0], HasSubstr("Latin-1"));
}

// More than the sample that the dialect is guessed from.
TEST(Csv, LongLinesAndManyBlankLines) {
  std::string header, row;
  for (int i = 0; i < 20'000; ++i) {
    header += (i ? ";column" : "column") + std::to_string(i);
    row += i ? ";1" : "1";
  }
  const Table wide = parse(header + "\n" + row + "\n" + row + "\n");
  EXPECT_EQ(wide.columns.size(), 20'000u);
  EXPECT_EQ(wide.names()[19'999], "column19999");
  EXPECT_EQ(wide.rows, 2);
  const Table late = parse(std::string(200'000, '\r') + "a,b\r1,2\r");
  EXPECT_THAT(late.names(), ElementsAre("a", "b"));
  EXPECT_THAT(late.origin, ElementsAre(200'002));
  EXPECT_THAT(parse("\ta\tb\n1\t2\t3\n").names(), ElementsAre("c0", "a", "b"));
}

TEST(Csv, LongQuotedFieldsAndManyCategories) {
  std::string text = "k,v\n";
  for (int i = 0; i < 5000; ++i)
    text += "key" + std::to_string(i) + ",\"" + std::string(100, 'x') + "\"\n";
  const Table t = parse(text);
  EXPECT_EQ(t.columns[0].dictionary.size(), 5000u);
  EXPECT_EQ(t.columns[1].dictionary.size(), 1u);
  for (std::size_t i = 0; i < 5000; ++i) EXPECT_EQ(t.columns[0].codes[i], static_cast<int>(i));
}

}  // namespace
}  // namespace descent::data
