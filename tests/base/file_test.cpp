#include "descent/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <thread>

#include "descent/base/error.h"
#include "descent/base/random.h"

namespace descent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class File : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "descent-file-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
};

std::string gzip(std::string_view text) {
  z_stream s{};
  deflateInit2(&s, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&s, text.size()) + 32, '\0');
  s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  s.avail_in = static_cast<uInt>(text.size());
  s.next_out = reinterpret_cast<Bytef*>(out.data());
  s.avail_out = static_cast<uInt>(out.size());
  deflate(&s, Z_FINISH);
  out.resize(s.total_out);
  deflateEnd(&s);
  return out;
}

// With a checksum, as the zstd program writes it.
std::string zstd(std::string_view text) {
  const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                        ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress2(context.get(), out.data(), out.size(), text.data(), text.size()));
  return out;
}

// Neither constant nor random, larger than the reading buffer.
std::string long_text() {
  std::string text;
  RandomStream random(1);
  while (text.size() < 3'000'000) text += std::to_string(random.below(100000)) + ",";
  return text;
}

template <class F>
void expect_data_error(F f, const std::vector<std::string>& fragments) {
  try {
    f();
    ADD_FAILURE() << "no error, expected " << testing::PrintToString(fragments);
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(ErrorKind::data));
    for (const auto& fragment : fragments) EXPECT_THAT(e.what(), HasSubstr(fragment));
  }
}

TEST_F(File, WritesAndReads) {
  for (const std::string& content : {std::string(), std::string("a\0b", 3), long_text()}) {
    write_file_atomic(path("x"), content);
    EXPECT_EQ(read_file(path("x")), content);
    EXPECT_EQ(read_unpacked(path("x")), content);
  }
  // No temporary file is left.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(File, ReplacesAtomically) {
  // A reader that runs beside the writer sees the one or the other content, never a part.
  const std::string a(300'000, 'a'), b(200'000, 'b');
  write_file_atomic(path("x"), a);
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) write_file_atomic(path("x"), i % 2 ? a : b);
  });
  for (int i = 0; i < 50; ++i) {
    const std::string seen = read_file(path("x"));
    EXPECT_TRUE(seen == a || seen == b);
  }
  writer.join();
}

TEST_F(File, FailedWriteLeavesTheOldContent) {
  fs::create_directory(path("folder"));
  write_file_atomic(path("folder/inside"), "1");
  expect_data_error([&] { write_file_atomic(path("folder"), "x"); },
                    {"cannot replace", path("folder")});
  EXPECT_EQ(read_file(path("folder/inside")), "1");
  expect_data_error([&] { write_file_atomic(path("no/such"), "x"); },
                    {"cannot create", "No such file"});
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(File, AppendsLines) {
  append_line(path("log"), "{\"a\": 1}");
  append_line(path("log"), "");
  append_line(path("log"), "last");
  EXPECT_EQ(read_file(path("log")), "{\"a\": 1}\n\nlast\n");
  expect_data_error([&] { append_line(path("no/log"), "x"); }, {"cannot open for appending"});
}

TEST_F(File, ReadErrorsSayWhy) {
  expect_data_error([&] { read_file(path("none")); },
                    {path("none"), "No such file", "check the path"});
  expect_data_error([&] { read_file(folder_); },
                    {folder_, "Is a directory", "inside of the folder"});
}

void ignore(int) {}

TEST_F(File, ReadsPipesThroughSignals) {
  // Signals without SA_RESTART interrupt the blocked read again and again.
  struct sigaction action {};
  action.sa_handler = ignore;
  struct sigaction before {};
  sigaction(SIGUSR1, &action, &before);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const auto reader = ::pthread_self();
  std::thread writer([&] {
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ::pthread_kill(reader, SIGUSR1);
    }
    std::FILE* out = std::fopen(path("pipe").c_str(), "w");
    std::fputs("slow", out);
    std::fflush(out);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::pthread_kill(reader, SIGUSR1);
    std::fputs(" text", out);
    std::fclose(out);
  });
  EXPECT_EQ(read_file(path("pipe")), "slow text");
  writer.join();
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(File, UnpacksByContent) {
  const std::string text = long_text();
  const std::string half = text.substr(0, text.size() / 2), rest = text.substr(text.size() / 2);
  const std::string skippable("\x50\x2A\x4D\x18\x03\0\0\0abc", 11);
  for (const auto& packed :
       {gzip(text), gzip(half) + gzip(rest), gzip(text) + std::string(512, '\0'), zstd(text),
        zstd(half) + zstd(rest), zstd(half) + skippable + zstd(rest)}) {
    write_file_atomic(path("packed.csv"), packed);
    EXPECT_EQ(read_unpacked(path("packed.csv")), text);
  }
  for (const auto& packed : {gzip(""), zstd("")}) {
    write_file_atomic(path("packed.csv"), packed);
    EXPECT_EQ(read_unpacked(path("packed.csv")), "");
  }
  // A name alone packs nothing.
  write_file_atomic(path("plain.gz"), "a,b");
  EXPECT_EQ(read_unpacked(path("plain.gz")), "a,b");
}

TEST_F(File, MalformedStreams) {
  struct Case {
    const char* name;
    std::string bytes;
    std::vector<std::string> expected;
  };
  const std::string gz = gzip("hello hello hello hello"), zs = zstd(long_text());
  const auto flipped = [](std::string bytes, std::size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    return bytes;
  };
  const std::vector<Case> cases = {
      {"gz magic alone", gz.substr(0, 2), {"gzip", "at byte 2", "ends inside"}},
      {"gz cut header", gz.substr(0, 9), {"gzip", "at byte 9", "ends inside"}},
      {"gz cut data", gz.substr(0, 14), {"gzip", "at byte 14", "ends inside"}},
      {"gz cut checksum",
       gz.substr(0, gz.size() - 1),
       {"gzip", "ends inside", "compress the file again"}},
      {"gz method", flipped(gz, 2), {"gzip", "unknown compression method"}},
      {"gz checksum", flipped(gz, gz.size() - 6), {"gzip", "incorrect data check"}},
      {"gz length", flipped(gz, gz.size() - 2), {"gzip", "incorrect length check"}},
      {"gz block type", gz.substr(0, 10) + "\xFF\xFF\xFF\xFF", {"gzip", "invalid block type"}},
      {"gz trailing text", gz + "tail", {"gzip", "at byte " + std::to_string(gz.size()), "member"}},
      {"gz second member cut", gz + gz.substr(0, 12), {"gzip", "ends inside"}},
      {"zst magic alone", zs.substr(0, 4), {"zstd", "at byte 4", "ends inside"}},
      {"zst cut header", zs.substr(0, 5), {"zstd", "ends inside"}},
      {"zst cut data", zs.substr(0, zs.size() / 2), {"zstd", "ends inside"}},
      {"zst cut at the end", zs.substr(0, zs.size() - 1), {"zstd", "ends inside"}},
      {"zst reserved bit", flipped(zs, 4), {"zstd", "at byte"}},
      {"zst trailing text", zs + "tail", {"zstd", "at byte"}},
      {"zst damaged data", flipped(zs, 4000), {"zstd", "at byte"}},
  };
  for (const auto& [name, bytes, expected] : cases) {
    SCOPED_TRACE(name);
    write_file_atomic(path("bad"), bytes);
    expect_data_error([&] { read_unpacked(path("bad")); }, expected);
    expect_data_error([&] { read_unpacked(path("bad")); },
                      {path("bad"), "damaged", "stream at byte"});
  }
}

TEST(Crc32, KnownValue) {
  // The check value of CRC-32/ISO-HDLC.
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc32("6789", crc32("12345")), 0xCBF43926u);
  EXPECT_EQ(crc32(""), 0u);
}

}  // namespace
}  // namespace descent
