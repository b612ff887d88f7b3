#include "descent/track/report.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "descent/base/file.h"

namespace descent::track {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kHostile = "</script><b>\"'&<!--";

class Report : public testing::Test {
 protected:
  Report() { std::filesystem::create_directories(folder_); }
  ~Report() override { std::filesystem::remove_all(folder_); }
  std::string in(const std::string& file) const { return folder_ + "/" + file; }
  json written() const { return data_in(read_file(in("report.html"))); }
  std::string folder_ = testing::TempDir() + "report_" + std::to_string(getpid());
};

Record valid(std::int64_t step, double loss) {
  return {.step = step, .epoch = 1, .split = "valid", .values = {{"loss", loss}}, .seconds = 1};
}

json curve(const json& data, const std::string& split, const std::string& name) {
  for (const auto& one : data["curves"]) {
    if (one["split"] == split && one["name"] == name) return one;
  }
  return {};
}

TEST_F(Report, HoldsWhatTheRunTold) {
  write_file_atomic(in("config.toml"), "seed = 7\n");
  ReportSink sink;
  sink.message(Level::note, "data", "150 rows");
  sink.begin({.directory = folder_, .total_steps = 3, .title = "mlp on flowers.csv"});
  sink.record({.step = 1, .split = "train", .values = {{"loss", 2.0}, {"lr", 0.1}}});
  sink.record({.step = 3, .split = "train", .values = {{"loss", 1.5}, {"rows_per_second", 9.0}}});
  sink.record(valid(3, 0.25));
  sink.show("histograms", json::array({{{"name", "0.weight"}, {"counts", {1, 2}}}}));
  sink.end({{"reason", "finished"}});
  const auto data = written();
  ASSERT_TRUE(data.is_object());
  EXPECT_EQ(data["run"]["title"], "mlp on flowers.csv");
  EXPECT_EQ(curve(data, "step", "loss")["value"], json({2}));
  EXPECT_EQ(curve(data, "train", "loss")["step"], json({3}));
  EXPECT_EQ(curve(data, "valid", "loss")["value"], json({0.25}));
  EXPECT_EQ(data["messages"][0]["text"], "150 rows");
  EXPECT_EQ(data["shown"]["histograms"][0]["name"], "0.weight");
  EXPECT_EQ(data["summary"]["reason"], "finished");
  EXPECT_EQ(data["config"], "seed = 7\n");
}

// Nothing that a browser would fetch: neither attributes nor style sheets nor scripts name a place.
TEST_F(Report, NeedsNothingElse) {
  ReportSink sink;
  sink.begin({.directory = folder_, .title = "a run"});
  sink.end({});
  const auto page = read_file(in("report.html"));
  const std::regex loads(R"((src|href|action)\s*=\s*["']?(?!["']?data:)|@import|url\()",
                         std::regex::icase);
  EXPECT_FALSE(std::regex_search(page.substr(0, page.find("<script")), loads));
  for (const char* word : {"<script src", "fetch(", "XMLHttpRequest", "import(", "WebSocket"})
    EXPECT_THAT(page, Not(HasSubstr(word)));
  // The one address is uPlot's, in the comment that its licence asks for.
  const auto address = page.find("://");
  EXPECT_EQ(page.substr(address - 9, 12), "/*! https://");
  EXPECT_EQ(page.find("://", address + 1), std::string::npos);
}

TEST_F(Report, HostileTextsStayTexts) {
  append_line(in("health.jsonl"), json({{"kind", "finding"}, {"message", kHostile}}).dump());
  write_file_atomic(in("config.toml"), kHostile);
  ReportSink sink;
  sink.message(Level::warning, kHostile, kHostile);
  sink.begin({.directory = folder_, .title = kHostile});
  sink.record({.step = 1, .split = "valid", .values = {{kHostile, 1.0}}});
  sink.show("histograms", json::array({{{"name", kHostile}}}));
  sink.end({{"reason", kHostile}, {"bad", "\xff\xfe"}});
  const auto page = read_file(in("report.html"));
  EXPECT_THAT(page, Not(HasSubstr(kHostile)));
  EXPECT_THAT(page, Not(HasSubstr("</script><b>")));
  EXPECT_THAT(page, HasSubstr("<title>&lt;/script&gt;&lt;b&gt;&quot;&#39;&amp;&lt;!--</title>"));
  const auto data = data_in(page);
  ASSERT_TRUE(data.is_object());
  EXPECT_EQ(data["run"]["title"], kHostile);
  EXPECT_EQ(data["curves"][0]["name"], kHostile);
  EXPECT_EQ(data["findings"][0]["message"], kHostile);
  EXPECT_EQ(data["config"], kHostile);
}

TEST_F(Report, LongRunsStaySmall) {
  ReportSink sink;
  sink.begin({.directory = folder_});
  for (int i = 1; i <= 20000; ++i) {
    sink.record({.step = i, .split = "train", .values = {{"loss", i == 9999 ? 77.0 : 1.0 / i}}});
  }
  sink.end({});
  const auto values = curve(written(), "step", "loss")["value"];
  EXPECT_LE(values.size(), 2002U);
  EXPECT_GE(values.size(), 1000U);
  EXPECT_NE(std::ranges::find(values, json(77)), values.end());
}

TEST_F(Report, LayersAndFindingsComeFromHealth) {
  append_line(in("health.jsonl"), R"({"kind":"observation","step":10,"layers":["0","2"],)"
                                  R"("gradient_norm":[0.5,null],"update_ratio":[1e-3,2e-3]})");
  append_line(in("health.jsonl"), "not json");
  append_line(in("health.jsonl"), R"({"kind":"observation","step":20,"gradient_norm":[0.25,4]})");
  append_line(in("health.jsonl"), R"({"kind":"finding","step":20,"layer":"2"})");
  append_line(in("health.jsonl"), R"({"kind":"observation","step":30,"gradient_norm":[9]})");
  ReportSink sink;
  sink.begin({.directory = folder_});
  sink.end({});
  const auto data = written();
  EXPECT_EQ(data["health"]["layers"], json({"0", "2"}));
  const auto norms = data["health"]["measures"]["gradient_norm"];
  EXPECT_EQ(norms[0]["value"], json({0.5, 0.25}));
  EXPECT_EQ(norms[1]["value"], json({nullptr, 4}));
  EXPECT_EQ(data["findings"].size(), 1U);
}

TEST_F(Report, IsWrittenOnTheWayAndAnew) {
  ReportSink sink(/*interval=*/0);
  sink.message(Level::note, "data", "150 rows");
  sink.begin({.directory = folder_, .title = "a"});
  sink.record(valid(1, 0.5));
  EXPECT_EQ(curve(written(), "valid", "loss")["value"], json({0.5}));
  EXPECT_TRUE(written()["summary"].is_null());
  // What stands in no other file is taken from the page.
  append_line(in("metrics.jsonl"), R"({"step":1,"epoch":1,"split":"valid","loss":0.5})");
  append_line(in("metrics.jsonl"), R"({"step":2,"epoch":2,"split":"valid","loss":null})");
  ReportSink again;
  again.begin({.directory = folder_, .title = "a"});
  again.read_page(in("report.html"));
  again.read_metrics(in("metrics.jsonl"));
  again.write();
  EXPECT_EQ(curve(written(), "valid", "loss")["value"], json({0.5, nullptr}));
  EXPECT_EQ(written()["messages"][0]["text"], "150 rows");
  // Nothing but the page is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 2);
}

TEST_F(Report, AResumedRunBeginsWithWhatWasMeasuredBefore) {
  append_line(in("metrics.jsonl"), R"({"step":1,"epoch":1,"split":"valid","loss":0.5})");
  append_line(in("metrics.jsonl"), R"({"step":9,"epoch":2,"split":"valid","loss":0.1})");
  ReportSink sink;
  sink.begin({.directory = folder_, .first_step = 1});
  sink.record(valid(2, 0.25));
  sink.end({});
  EXPECT_EQ(curve(written(), "valid", "loss")["step"], json({1, 2}));
}

}  // namespace
}  // namespace descent::track
