// What a person sees, as text.
#include "descent/track/terminal.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace descent::track {
namespace {

using testing::HasSubstr;
using testing::Not;

// A file in memory that tells what was written.
class Memory {
 public:
  Memory() : file_(open_memstream(&text_, &size_)) {}
  ~Memory() {
    std::fclose(file_);
    std::free(text_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

Record train(std::int64_t epoch, double loss) {
  return {.step = epoch * 10,
          .epoch = epoch,
          .split = "train",
          .values = {{"loss", loss}, {"lr", 1e-3}, {"grad_norm", 2}},
          .seconds = 1.5 * static_cast<double>(epoch)};
}

Record valid(std::int64_t epoch, double loss, double accuracy) {
  return {.step = epoch * 10,
          .epoch = epoch,
          .split = "valid",
          .values = {{"loss", loss}, {"accuracy", accuracy}, {"f1", 0.3}},
          .seconds = 1.5 * static_cast<double>(epoch) + 0.25};
}

// A short run, as the trainer tells it.
void tell(Sink& sink) {
  sink.message(Level::note, "data", "titanic.csv  891 rows, 14 columns");
  sink.message(Level::note, "data", "target survived: 2 classes");
  sink.message(Level::warning, "warning", "column \"alive\" predicts the target: a leak?");
  sink.message(Level::warning, "warning", "two\nlines");
  sink.message(Level::note, "model", "mlp 31-64-64-2, 6,402 parameters");
  sink.begin({.directory = "runs/titanic-1", .epochs = 12, .steps_per_epoch = 10});
  for (int epoch = 1; epoch <= 2; ++epoch) {
    sink.progress({.epoch = epoch,
                   .batch = 5,
                   .batches = 10,
                   .loss = 0.7,
                   .lr = 1e-3,
                   .rows_per_second = 412345});
    sink.record(train(epoch, epoch == 1 ? 0.612 : 12.3456));
    sink.record(valid(epoch, epoch == 1 ? 0.598 : 2e-5, 0.742));
    sink.epoch_end(epoch);
  }
  sink.message(Level::note, "stopped", "epoch 2: no better");
  sink.record({.step = 20, .split = "test", .values = {{"loss", 0.432}, {"accuracy", 0.82}}});
  sink.message(Level::note, "test", "accuracy 0.820  AUC 0.861");
  sink.message(Level::note, "saved", "runs/titanic-1");
  sink.end({});
}

TerminalOptions plain(Memory& messages, Memory& results) {
  return {.messages = messages.file(),
          .results = results.file(),
          .live = false,
          .colour = false,
          .utf8 = false};
}

TEST(Terminal, OnAPipeOneLineForEachEpoch) {
  Memory messages, results;
  {
    TerminalSink sink(plain(messages, results));
    tell(sink);
  }
  EXPECT_EQ(messages.text(),
            "data     titanic.csv  891 rows, 14 columns\n"
            "         target survived: 2 classes\n"
            "warning  column \"alive\" predicts the target: a leak?\n"
            "warning  two\n"
            "         lines\n"
            "model    mlp 31-64-64-2, 6,402 parameters\n"
            "epoch         loss  valid loss  accuracy        lr    rows/s   seconds\n"
            " 1/12       0.6120      0.5980    0.7420     0.001      412k      1.75\n"
            " 2/12       12.346        2e-5    0.7420     0.001      412k      3.25\n"
            "stopped  epoch 2: no better\n");
  EXPECT_EQ(results.text(), "test     accuracy 0.820  AUC 0.861\nsaved    runs/titanic-1\n");
}

TEST(Terminal, FileWithoutOptionsIsNoTerminal) {
  Memory messages, results;
  TerminalSink sink({.messages = messages.file(), .results = results.file()});
  tell(sink);
  EXPECT_THAT(messages.text(), Not(HasSubstr("\x1b")));
}

TEST(Terminal, QuietTellsWarningsAndTheResult) {
  Memory messages, results;
  auto options = plain(messages, results);
  options.quiet = true;
  options.live = true;
  TerminalSink sink(options);
  tell(sink);
  EXPECT_EQ(messages.text(),
            "warning  column \"alive\" predicts the target: a leak?\n"
            "warning  two\n"
            "         lines\n");
  EXPECT_EQ(results.text(), "test     accuracy 0.820  AUC 0.861\nsaved    runs/titanic-1\n");
}

TEST(Terminal, LiveLineIsClearedBeforeAnythingElse) {
  Memory messages, results;
  auto options = plain(messages, results);
  options.live = true;
  options.interval = options.row_interval = 0;
  TerminalSink sink(options);
  tell(sink);
  const auto text = messages.text();
  EXPECT_THAT(text, HasSubstr("\repoch  1/12"));
  EXPECT_THAT(text, HasSubstr("############------------"));
  EXPECT_THAT(text, HasSubstr("loss 0.7000  lr 0.001  412k rows/s\x1b[K\r\x1b[K"));
  // The live line never stays: whatever is written after it begins with its removal.
  for (std::size_t at = text.find("\repoch"); at != std::string::npos;
       at = text.find("\repoch", at + 1)) {
    const auto end = text.find("\x1b[K", at) + 3;
    EXPECT_EQ(text.compare(end, 4, "\r\x1b[K"), 0) << text.substr(at);
  }
}

TEST(Terminal, BarInUtf8) {
  Memory messages, results;
  auto options = plain(messages, results);
  options.live = options.utf8 = options.colour = true;
  TerminalSink sink(options);
  sink.begin({.epochs = 2});
  sink.progress({.epoch = 1, .batch = 1, .batches = 12});
  EXPECT_THAT(messages.text(), HasSubstr("━━\x1b[2m━━"));
}

TEST(Terminal, LiveLinesAreThrottled) {
  Memory messages, results;
  auto options = plain(messages, results);
  options.live = true;
  options.interval = 1000;
  TerminalSink sink(options);
  for (int i = 0; i < 50; ++i) sink.progress({.epoch = 1, .batch = i, .batches = 50});
  const auto text = messages.text();
  EXPECT_EQ(text.rfind("\repoch"), 0u);  // one only
}

TEST(Terminal, FastEpochsShowTheFirstAndTheLastRow) {
  Memory messages, results;
  auto options = plain(messages, results);
  options.live = true;
  options.row_interval = 1000;
  TerminalSink sink(options);
  sink.begin({.epochs = 100});
  for (int epoch = 1; epoch <= 100; ++epoch) {
    sink.record(train(epoch, 0.5));
    sink.epoch_end(epoch);
  }
  sink.end({});
  EXPECT_EQ(messages.text(),
            "epoch         loss        lr    rows/s   seconds\n"
            "  1/100     0.5000     0.001         -      1.50\n"
            "100/100     0.5000     0.001         -     150.0\n");
}

TEST(Terminal, AColumnThatComesLaterGetsAHeader) {
  Memory messages, results;
  TerminalSink sink(plain(messages, results));
  sink.begin({});
  sink.record(train(1, 0.5));
  sink.epoch_end(1);
  sink.record(train(2, 0.4));
  sink.record(valid(2, 0.45, 0.9));
  sink.epoch_end(2);
  sink.record(train(3, 0.3));
  sink.epoch_end(3);
  EXPECT_EQ(messages.text(),
            "epoch         loss        lr    rows/s   seconds\n"
            "1           0.5000     0.001         -      1.50\n"
            "epoch         loss  valid loss  accuracy        lr    rows/s   seconds\n"
            "2           0.4000      0.4500    0.9000     0.001         -      3.25\n"
            "3           0.3000           -         -     0.001         -      4.50\n");
}

TEST(Terminal, TheTestRecordIsToldWhereNobodyElseDoes) {
  Memory messages, results;
  TerminalSink sink(plain(messages, results));
  sink.begin({});
  sink.record({.split = "test", .values = {{"loss", 0.432}, {"accuracy", 0.82}}});
  sink.end({});
  EXPECT_EQ(results.text(), "test     loss 0.4320  accuracy 0.8200\n");
}

TEST(Terminal, ColourMarksWarnings) {
  Memory messages, results;
  auto options = plain(messages, results);
  options.colour = true;
  TerminalSink sink(options);
  sink.message(Level::warning, "warning", "a leak?");
  EXPECT_EQ(messages.text(), "\x1b[33mwarning  \x1b[0ma leak?\n");
}

TEST(ShortNumber, FewCharacters) {
  EXPECT_EQ(short_number(1e-3), "0.001");
  EXPECT_EQ(short_number(9.1e-5), "9.1e-5");
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(-2.5e-10), "-2.5e-10");
  EXPECT_EQ(short_number(1234567), "1.23e6");
}

TEST(ShortCount, Units) {
  EXPECT_EQ(short_count(0), "0");
  EXPECT_EQ(short_count(999), "999");
  EXPECT_EQ(short_count(4123), "4.1k");
  EXPECT_EQ(short_count(412345), "412k");
  EXPECT_EQ(short_count(999600), "1.0M");
  EXPECT_EQ(short_count(12e6), "12M");
  EXPECT_EQ(short_count(-1), "-");
}

}  // namespace
}  // namespace descent::track
