// Texts as language models read them: what is taken for a text, parts, windows, their order; and
// texts in a column of a table.
#include "descent/data/language.h"

#include <algorithm>
#include <set>

#include "descent/data/loader.h"
#include "descent/data/registry.h"
#include "tests/data/support.h"

namespace descent::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const char* kPoem = "Two roads diverged in a yellow wood,\nAnd sorry I could not travel both\n";

// n characters, each different from its neighbours.
std::string letters(std::int64_t n) {
  std::string text;
  for (std::int64_t i = 0; i < n; ++i) text += static_cast<char>('a' + i * 5 % 23);
  return text;
}

Splits load_text(const std::string& text,
                 std::vector<std::pair<std::string, OptionValue>> more = {}) {
  const TemporaryFolder folder;
  more.emplace_back("path", folder.write("t.txt", text));
  return load(with(std::move(more)), 1);
}

Dataset stream_of(std::int64_t tokens, std::int64_t context, std::int64_t stride = 1) {
  Dataset d{.stream = Array(DType::int32, {tokens}), .context = context, .stride = stride};
  for (std::int64_t i = 0; i < tokens; ++i) d.stream.set_item(i, static_cast<double>(i));
  return d;
}

// ---- what is a text ----

TEST(Language, TextsAreToldFromTables) {
  const TemporaryFolder folder;
  const auto is_text = [&](const std::string& content, const std::string& name = "t.txt",
                           std::vector<std::pair<std::string, OptionValue>> more = {}) {
    const auto tables = read_tables(folder.write(name, content), with(std::move(more)));
    return tables.train.text.has_value();
  };
  EXPECT_TRUE(is_text(kPoem));
  EXPECT_TRUE(is_text("a single line, with a comma\n"));
  EXPECT_TRUE(is_text("x\n\ny z\n"));
  EXPECT_FALSE(is_text("good film\t1\nbad film\t0\n"));
  EXPECT_FALSE(is_text("a,b\n1,2\n3,4\n"));
  EXPECT_FALSE(is_text("1.5 2\n3 4\n"));
  EXPECT_FALSE(is_text("1\n2\n"));
  EXPECT_FALSE(is_text("a,b\n1,2\n3,4\n", "t.csv"));
  EXPECT_FALSE(is_text(kPoem, "t.txt", {{"task", "classification"}}));
  EXPECT_FALSE(is_text(kPoem, "t.txt", {{"target", "last"}}));
  EXPECT_TRUE(is_text("a,b\n1,2\n", "t.csv", {{"task", "language"}}));
}

TEST(Language, FoldersAreJoinedOrAreTheParts) {
  const TemporaryFolder folder;
  folder.write("b.txt", "second\n");
  folder.write("a.txt", "first");
  folder.write("c.md", "not this");
  EXPECT_EQ(*read_tables(folder.path(), with({})).train.text, "first\nsecond\n");
  folder.write("train.txt", "the training part");
  folder.write("val.txt", "the validation part");
  const auto tables = read_tables(folder.path(), with({}));
  EXPECT_EQ(*tables.train.text, "the training part");
  EXPECT_EQ(*tables.valid->text, "the validation part");
  EXPECT_FALSE(tables.test);
}

TEST(Language, BrokenTextsAreRefused) {
  const auto refuse = [](const std::string& text, const std::vector<std::string>& fragments) {
    expect_error([&] { load_text(text, {{"task", "language"}}); }, ErrorKind::data, fragments);
  };
  refuse("", {"t.txt", "empty"});
  refuse(std::string("\xFF\xFE"
                     "a\0b\0",
                     6),
         {"UTF-16", "iconv"});
  refuse("abc\xC3(", {"t.txt", "byte 3", "UTF-8"});
  refuse("short", {"t.txt", "3 tokens", "data.context = 256", "smaller data.context"});
  EXPECT_EQ(*read_tables(TemporaryFolder().write("t.txt",
                                                 "\xEF\xBB\xBF"
                                                 "abc"),
                         with({}))
                 .train.text,
            "abc");
}

// ---- parts ----

TEST(Language, PartsAreContiguousAndTheVocabularyIsTheFiles) {
  const auto text = letters(900) + "ZZZ" + letters(97);
  const auto splits = load_text(text, {{"context", std::int64_t{8}}});
  EXPECT_EQ(splits.task, Task::language);
  EXPECT_EQ(splits.sample_shape, Shape{8});
  EXPECT_EQ(splits.train.stream.size(), 800);
  EXPECT_EQ(splits.valid.stream.size(), 100);
  EXPECT_EQ(splits.test.stream.size(), 100);
  EXPECT_EQ(splits.outputs, splits.transform.vocabulary());
  // "Z" is in the test part alone.
  const auto& tokenizer = *splits.transform.text().tokenizer;
  const auto whole = tokenizer.encode(text);
  const auto part = splits.test.stream.as<Token>();
  EXPECT_TRUE(std::ranges::equal(part, std::span(whole).subspan(900)));
  EXPECT_THAT(splits.notes[0], HasSubstr("1,000 bytes, 1,000 tokens"));
  EXPECT_THAT(splits.notes[1], HasSubstr("800 train, 100 valid, 100 test (file order)"));
}

TEST(Language, PartsTooShortForAWindowAreLeftOut) {
  const auto splits = load_text(letters(100), {{"context", std::int64_t{20}}});
  EXPECT_EQ(splits.train.rows(), 3);
  EXPECT_EQ(splits.valid.rows(), 0);
  EXPECT_THAT(splits.warnings, ElementsAre(HasSubstr("valid part is left out: it has 10 tokens"),
                                           HasSubstr("test part")));
}

TEST(Language, GivenPartsUseTheTrainingVocabulary) {
  const TemporaryFolder folder;
  const auto train = folder.write("a.txt", letters(300));
  const auto options = [&](const std::string& valid) {
    return with({{"path", train}, {"valid_path", valid}, {"context", std::int64_t{5}}});
  };
  const auto splits = load(options(folder.write("b.md", letters(50))), 1);
  EXPECT_EQ(splits.train.stream.size(), 270);  // 0.9: the validation fraction is not needed
  EXPECT_EQ(splits.valid.stream.size(), 50);
  expect_error([&] { load(options(folder.write("c.txt", "ab\nc#d")), 1); }, ErrorKind::data,
               {"c.txt", "line 1", "\"\\x0a\""});
  expect_error([&] { load_for(splits.transform, folder.write("d.txt", "abc#"), true); },
               ErrorKind::data, {"d.txt", "\"#\" (U+0023)"});
  expect_error([&] { load_for(splits.transform, folder.write("e.txt", "abc"), true); },
               ErrorKind::data, {"e.txt", "3 tokens", "data.context = 5 takes 6"});
  EXPECT_EQ(load_for(splits.transform, folder.write("f.md", letters(11)), true).data.rows(), 2);
}

TEST(Language, OptionsWithoutMeaningAreRefused) {
  expect_error(
      [] {
        load_text(letters(100), {{"context", std::int64_t{4}}, {"stride", std::int64_t{5}}});
      },
      ErrorKind::usage, {"data.stride = 5", "data.context = 4"});
  expect_error(
      [] {
        load_text(letters(100), {{"tokenizer", "gpt2"}});
      },
      ErrorKind::usage, {"data.vocabulary"});
}

TEST(Language, TransformsSurviveJson) {
  const auto splits = load_text(letters(300), {{"context", std::int64_t{7}}});
  const auto back = Transform::from_json(nlohmann::json::parse(splits.transform.to_json().dump()));
  EXPECT_EQ(back.task(), Task::language);
  EXPECT_EQ(back.sample_shape(), Shape{7});
  EXPECT_EQ(back.vocabulary(), splits.transform.vocabulary());
  EXPECT_EQ(back.to_json(), splits.transform.to_json());
  auto json = splits.transform.to_json();
  json.erase("text");
  expect_error([&] { Transform::from_json(json); }, ErrorKind::data, {"no tokenizer"});
  json = splits.transform.to_json();
  json["text"]["context"] = 0;
  expect_error([&] { Transform::from_json(json); }, ErrorKind::data, {"at least 1"});
}

// ---- windows ----

TEST(Windows, InFileOrderEveryTokenIsATargetOnce) {
  for (const std::int64_t tokens : {9, 10, 11, 12, 13, 40}) {
    const auto d = stream_of(tokens, 4);
    Loader loader(d, {.batch_size = 3, .shuffle = false}, 1);
    std::vector<double> targets;
    for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
      const Batch& batch = loader.next();
      EXPECT_EQ(batch.features.dtype(), DType::int64);
      EXPECT_EQ(batch.features.shape(), (Shape{batch.rows, 4}));
      for (std::int64_t i = 0; i < batch.features.size(); ++i) {
        EXPECT_EQ(batch.targets.item(i), batch.features.item(i) + 1);
        targets.push_back(batch.targets.item(i));
      }
    }
    ASSERT_EQ(static_cast<std::int64_t>(targets.size()), (tokens - 1) / 4 * 4);
    for (std::size_t i = 0; i < targets.size(); ++i)
      EXPECT_EQ(targets[i], static_cast<double>(i + 1));
  }
}

TEST(Windows, ShuffledTheyBeginAnywhereWithoutRepetition) {
  for (const std::int64_t stride : {1, 3, 5}) {
    const auto d = stream_of(64, 5, stride);
    EXPECT_EQ(d.rows(), 12);
    EXPECT_EQ(d.choices(), (64 - 6) / stride + 1);
    Loader loader(d, {.batch_size = 5}, 7);
    std::set<double> begins;
    for (std::int64_t epoch = 0; epoch < 60; ++epoch) {
      std::set<double> of_epoch;
      for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
        const Batch& batch = loader.next();
        for (std::int64_t i = 0; i < batch.rows; ++i) {
          const double begin = batch.features.item(i * 5);
          EXPECT_EQ(begin, static_cast<double>(loader.row_at(epoch, b * 5 + i)));
          EXPECT_EQ(std::fmod(begin, static_cast<double>(stride)), 0);
          EXPECT_TRUE(of_epoch.insert(begin).second);
          for (int k = 0; k < 5; ++k) {
            EXPECT_EQ(batch.features.item(i * 5 + k), begin + k);
            EXPECT_EQ(batch.targets.item(i * 5 + k), begin + k + 1);
          }
        }
      }
      EXPECT_EQ(of_epoch.size(), 12u);
      begins.insert(of_epoch.begin(), of_epoch.end());
    }
    // 60 epochs of 12 of at most 59 places: each is missed with probability below 1e-5.
    EXPECT_EQ(static_cast<std::int64_t>(begins.size()), d.choices());
  }
}

TEST(Windows, AreReadAgainFromAnyCursor) {
  const auto d = stream_of(1 << 20, 512);  // batches large enough for the thread
  Loader whole(d, {.batch_size = 32}, 3), later(d, {.batch_size = 32}, 3);
  for (int i = 0; i < 70; ++i) whole.next();  // 64 an epoch
  const Cursor at = whole.cursor();
  EXPECT_EQ(at, (Cursor{1, 6}));
  later.seek(at);
  for (int i = 0; i < 5; ++i) {
    const Batch &a = whole.next(), &b = later.next();
    EXPECT_TRUE(identical(a.features, b.features));
    EXPECT_TRUE(identical(a.targets, b.targets));
  }
}

TEST(Windows, AreGatheredWithoutAllocating) {
  Loader loader(stream_of(5000, 16), {.batch_size = 32, .prefetch = 0}, 3);
  loader.next();
  const auto before = allocations();
  for (int i = 0; i < 50; ++i) loader.next();
  EXPECT_EQ(allocations(), before);
}

TEST(Windows, CanBeTakenAsRows) {
  const std::vector<std::int64_t> rows = {2, 0};
  const auto taken = take(stream_of(20, 4), rows);
  EXPECT_THAT(taken.features.to_vector(), ElementsAre(8, 9, 10, 11, 0, 1, 2, 3));
  EXPECT_THAT(taken.targets.to_vector(), ElementsAre(9, 10, 11, 12, 1, 2, 3, 4));
}

// ---- texts in a column ----

const char* kReviews =
    "a good good film\tyes\nbad bad film\tno\nthe film is good\tyes\nso bad so sad\tno\n"
    "good and true\tyes\nbad and long\tno\na true film\tyes\na sad film\tno\n"
    "good times\tyes\nbad times\tno\nvery true\tyes\nvery sad\tno\n";

Splits load_reviews(std::vector<std::pair<std::string, OptionValue>> more = {}) {
  const TemporaryFolder folder;
  more.emplace_back("path", folder.write("r.tsv", kReviews));
  more.emplace_back("split", std::vector{1.0, 0.0, 0.0});
  return load(with(std::move(more)), 1);
}

TEST(TextColumn, BecomesPaddedTokens) {
  const auto splits = load_reviews({{"min_count", std::int64_t{1}}});
  EXPECT_EQ(splits.task, Task::classification);
  EXPECT_THAT(splits.transform.class_names(), ElementsAre("no", "yes"));
  EXPECT_EQ(splits.train.features.dtype(), DType::int64);
  EXPECT_EQ(splits.train.features.shape(), (Shape{12, 4}));  // the longest has four words
  const auto& tokenizer = *splits.transform.text().tokenizer;
  EXPECT_EQ(tokenizer.type(), "word");
  EXPECT_EQ(splits.transform.vocabulary(), tokenizer.vocabulary() + 1);
  const auto bad = tokenizer.encode("bad film");
  EXPECT_EQ(splits.train.features.item(4), bad[0] + 1);
  EXPECT_EQ(splits.train.features.item(5), bad[0] + 1);
  EXPECT_EQ(splits.train.features.item(6), bad[1] + 1);
  EXPECT_EQ(splits.train.features.item(7), 0);  // padding
  EXPECT_THAT(splits.notes[0], HasSubstr("texts in column \"c0\": 4 tokens each"));
  Loader loader(splits.train, {.batch_size = 5, .dtype = DType::float64}, 1);
  EXPECT_EQ(loader.next().features.dtype(), DType::int64);
}

TEST(TextColumn, IsCutToTheContextAndSurvivesJson) {
  const auto splits = load_reviews({{"context", std::int64_t{2}}, {"tokenizer", "char"}});
  EXPECT_EQ(splits.train.features.shape(), (Shape{12, 2}));
  EXPECT_THAT(splits.warnings, testing::Contains(HasSubstr("12 texts cut to 2 tokens")));
  const auto back = Transform::from_json(splits.transform.to_json());
  const TemporaryFolder folder;
  // A file without targets, with characters that training never had.
  const auto loaded = load_for(back, folder.write("n.csv", "gé\n#\n"), false,
                               with({{"header", false}, {"separator", "tab"}}));
  EXPECT_EQ(loaded.data.features.shape(), (Shape{2, 2}));
  EXPECT_GT(loaded.data.features.item(0), 0);
  EXPECT_EQ(loaded.data.features.item(1), 0);
  EXPECT_THAT(loaded.warnings, testing::Contains(HasSubstr("2 characters")));
}

TEST(TextColumn, IsNamedOrRefused) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "t.csv", "id,words,kind,n\n1,red sky,a,5\n2,blue sea,b,6\n3,red sea,a,7\n4,blue sky,b,8\n");
  const auto load_with = [&](const std::string& column) {
    return load(with({{"path", path},
                      {"target", "kind"},
                      {"text", column},
                      {"min_count", std::int64_t{1}},
                      {"split", std::vector{1.0, 0.0, 0.0}}}),
                1);
  };
  EXPECT_EQ(load_with("words").train.features.shape(), (Shape{4, 2}));
  expect_error([&] { load_with("wrods"); }, ErrorKind::usage, {"data.text", "words"});
  expect_error([&] { load_with("kind"); }, ErrorKind::usage, {"target and text at once"});
  expect_error([&] { load_with("n"); }, ErrorKind::usage, {"holds numbers"});
}

TEST(TextColumn, ReadsSst2) {
  const auto folder = data_folder() + "/sst2";
  SKIP_WITHOUT(folder);
  const auto splits = load(with({{"path", folder + "/train.tsv"},
                                 {"valid_path", folder + "/dev.tsv"},
                                 {"test_path", folder + "/test.tsv"},
                                 {"quote", ""},
                                 {"context", std::int64_t{40}}}),
                           1);
  EXPECT_EQ(splits.task, Task::classification);
  EXPECT_EQ(splits.train.features.shape(), (Shape{6920, 40}));
  EXPECT_EQ(splits.valid.rows(), 872);
  EXPECT_EQ(splits.test.rows(), 1821);
  EXPECT_THAT(splits.transform.class_names(), ElementsAre("0", "1"));
}

}  // namespace
}  // namespace descent::data
