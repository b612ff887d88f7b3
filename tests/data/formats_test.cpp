// .npy, IDX, CIFAR, libsvm and synthetic data.
#include <cmath>
#include <numeric>

#include "descent/data/idx.h"
#include "descent/data/libsvm.h"
#include "descent/data/npy.h"
#include "descent/data/registry.h"
#include "descent/data/target.h"
#include "tests/data/images.h"

namespace descent::data {
namespace {

using testing::ElementsAre;

TEST(Npy, RoundTripOfEveryType) {
  for (const auto dtype :
       {DType::float32, DType::float64, DType::int32, DType::int64, DType::uint8, DType::boolean}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 4}, Shape{2, 1, 3}}) {
      Array a(dtype, shape);
      for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, static_cast<double>(i % 2 + i / 2));
      const std::string bytes = encode_npy(a);
      EXPECT_EQ((bytes.size() - a.bytes()) % 64, 0u);
      EXPECT_TRUE(identical(decode_npy(bytes, "a.npy"), a)) << name_of(dtype) << to_string(shape);
    }
  }
}

TEST(Npy, Versions2And3) {
  for (const int version : {1, 2, 3}) {
    const auto bytes = npy_file("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n",
                                little<4>(7) + little<4>(-1), version);
    EXPECT_THAT(decode_npy(bytes, "a").to_vector(), ElementsAre(7, -1)) << version;
  }
}

TEST(Npy, FortranOrderIsTransposed) {
  // [[0, 1, 2], [3, 4, 5]] column by column, and a [2, 2, 2] cube.
  const auto matrix = npy_file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}",
                               std::string{0, 3, 1, 4, 2, 5});
  EXPECT_THAT(decode_npy(matrix, "a").to_vector(), ElementsAre(0, 1, 2, 3, 4, 5));
  const auto cube = npy_file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 2)}",
                             std::string{0, 4, 2, 6, 1, 5, 3, 7});
  EXPECT_THAT(decode_npy(cube, "a").to_vector(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(Npy, HeaderInAnyOrderWithAnyBlanks) {
  const auto bytes = npy_file("{ \"shape\" : ( 1 , 2 ) ,'fortran_order':False,'descr':'<f4'}   \n",
                              std::string(8, 0));
  EXPECT_EQ(decode_npy(bytes, "a").shape(), (Shape{1, 2}));
}

TEST(Idx, EveryType) {
  EXPECT_THAT(decode_idx(idx_file(0x08, {2, 1}, "\x01\xFF"), "a").to_vector(), ElementsAre(1, 255));
  EXPECT_THAT(decode_idx(idx_file(0x09, {2}, "\x01\xFF"), "a").to_vector(), ElementsAre(1, -1));
  EXPECT_THAT(decode_idx(idx_file(0x0B, {2}, big<2>(300) + big<2>(-2)), "a").to_vector(),
              ElementsAre(300, -2));
  EXPECT_THAT(decode_idx(idx_file(0x0C, {1}, big<4>(-70000)), "a").to_vector(),
              ElementsAre(-70000));
  EXPECT_THAT(decode_idx(idx_file(0x0D, {1}, big<4>(0x3FC00000)), "a").to_vector(),
              ElementsAre(1.5));
  EXPECT_THAT(decode_idx(idx_file(0x0E, {1}, big<8>(0xBFF8000000000000)), "a").to_vector(),
              ElementsAre(-1.5));
}

TEST(Idx, FolderGivesTrainAndTest) {
  const TemporaryFolder folder;
  folder.write("train-images-idx3-ubyte", idx_file(0x08, {3, 2, 2}, "abcdefghijkl"));
  folder.write("train-labels-idx1-ubyte", idx_file(0x08, {3}, std::string{0, 1, 0}));
  folder.write("t10k-images-idx3-ubyte", idx_file(0x08, {1, 2, 2}, "mnop"));
  folder.write("t10k-labels-idx1-ubyte", idx_file(0x08, {1}, std::string{1}));
  const Tables tables = read_tables(folder.path(), default_options());
  EXPECT_EQ(tables.train.block.shape(), (Shape{3, 1, 2, 2}));  // channels first
  EXPECT_THAT(tables.train.columns[0].numbers, ElementsAre(0, 1, 0));
  ASSERT_TRUE(tables.test);
  EXPECT_EQ(tables.test->rows, 1);
  // A single file finds the labels beside it.
  const Tables one = read_tables(folder.path() + "/train-images-idx3-ubyte", default_options());
  EXPECT_EQ(one.train.columns.size(), 1u);
  EXPECT_FALSE(one.test);
}

TEST(Cifar, FilesOfBothSets) {
  const TemporaryFolder folder;
  const auto ten = folder.write("ten.bin", cifar_file({"\x03", "\x09"}));
  const Table table = read_tables(ten, default_options()).train;
  EXPECT_EQ(table.block.shape(), (Shape{2, 3, 32, 32}));
  EXPECT_EQ(table.block.dtype(), DType::uint8);
  EXPECT_THAT(table.columns.at(0).numbers, ElementsAre(3, 9));
  EXPECT_EQ(table.block.item(0), 3);          // the first red one
  EXPECT_EQ(table.block.item(3072 + 5), 14);  // the sixth red one of the second image
  const auto hundred =
      folder.write("hundred.bin", cifar_file({std::string{19, 99}, std::string{0, 7}}));
  EXPECT_THAT(read_tables(hundred, default_options()).train.columns.at(0).numbers,
              ElementsAre(99, 7));
  EXPECT_THAT(read_tables(hundred, with({{"cifar_labels", "coarse"}})).train.columns.at(0).numbers,
              ElementsAre(19, 0));
  // A hundred labels are classes, not numbers to fit.
  std::vector<std::string> labels;
  for (char k = 0; k < 50; ++k) labels.push_back({0, k});
  const auto many = folder.write("many.bin", cifar_file(labels));
  EXPECT_EQ(find_target(read_tables(many, default_options()).train, default_options()).task,
            Task::classification);
}

TEST(Cifar, FolderGivesTrainAndTest) {
  const TemporaryFolder folder;
  folder.write("data_batch_2.bin", cifar_file({"\x02", "\x04"}));
  folder.write("data_batch_1.bin", cifar_file({"\x01"}));
  folder.write("data_batch_1.bin.gz", "the unpacked one is taken");
  folder.write("test_batch.bin", cifar_file({"\x05"}));
  folder.write("batches.meta.txt", "airplane\n");
  const Tables tables = read_tables(folder.path(), default_options());
  EXPECT_THAT(tables.train.columns.at(0).numbers, ElementsAre(1, 2, 4));
  EXPECT_EQ(tables.train.block.shape(), (Shape{3, 3, 32, 32}));
  ASSERT_TRUE(tables.test);
  EXPECT_THAT(tables.test->columns.at(0).numbers, ElementsAre(5));
}

TEST(Cifar, FolderOfAHundredClasses) {
  const TemporaryFolder folder;
  folder.write("train.bin", cifar_file({std::string{1, 55}}));
  folder.write("test.bin", cifar_file({std::string{2, 66}}));
  folder.write("fine_label_names.txt", "apple\n");
  const Tables tables = read_tables(folder.path(), default_options());
  EXPECT_THAT(tables.train.columns.at(0).numbers, ElementsAre(55));
  ASSERT_TRUE(tables.test);
  EXPECT_THAT(tables.test->columns.at(0).numbers, ElementsAre(66));
}

TEST(Libsvm, RowsCommentsQidAndEmptyRows) {
  const SparseRows rows =
      parse_libsvm("# head\n+1 qid:3 1:0.5 4:-2e1 # why\r\n\n-1\n1.5  2:1\t3:2 \n", "a.svm", true);
  EXPECT_THAT(rows.labels, ElementsAre(1, -1, 1.5));
  EXPECT_EQ(rows.columns, 4);
  EXPECT_THAT(rows.lines, ElementsAre(2, 4, 5));
  const Array dense = densify(rows, "a.svm");
  EXPECT_EQ(dense.shape(), (Shape{3, 4}));
  EXPECT_THAT(dense.to_vector(), ElementsAre(0.5, 0, 0, -20, 0, 0, 0, 0, 0, 1, 2, 0));
}

TEST(Libsvm, MalformedRowsAreLeftOut) {
  const SparseRows rows = parse_libsvm("1 1:1\n2 2:x 3:1\n3 1:3\nx 1:1\n4 2:4\n", "a.svm", false);
  EXPECT_THAT(rows.labels, ElementsAre(1, 3, 4));
  EXPECT_THAT(rows.values, ElementsAre(1, 3, 4));
  EXPECT_THAT(rows.warnings[0],
              testing::HasSubstr("2 malformed rows left out; the first: a.svm:2:5"));
}

TEST(Libsvm, RefusesWhatIsTooLargeWhenDense) {
  const SparseRows rows = parse_libsvm("1 2000000000:1\n1 1:1\n", "a.svm", true);
  expect_error([&] { densify(rows, "a.svm"); }, ErrorKind::data,
               {"a.svm", "2 rows of 2,000,000,000 columns take 14.9 GiB", "more than 4.0"});
}

Table synthetic(const std::string& name,
                std::vector<std::pair<std::string, OptionValue>> values = {},
                std::uint64_t seed = 1) {
  return read_tables("synthetic:" + name, with(std::move(values)), seed).train;
}

TEST(Synthetic, IsAFunctionOfTheSeed) {
  for (const char* name : {"spirals", "moons", "blobs", "sine"}) {
    const Table a = synthetic(name), b = synthetic(name), c = synthetic(name, {}, 2);
    EXPECT_EQ(a.rows, 1000);
    for (std::size_t k = 0; k < a.columns.size(); ++k) {
      EXPECT_EQ(a.columns[k].numbers, b.columns[k].numbers) << name;
    }
    EXPECT_NE(a.columns[0].numbers, c.columns[0].numbers) << name;
    // Row i does not depend on how many there are.
    const Table few = synthetic(name, {{"rows", std::int64_t{10}}});
    EXPECT_TRUE(std::equal(few.columns[0].numbers.begin(), few.columns[0].numbers.end(),
                           a.columns[0].numbers.begin()))
        << name;
  }
}

TEST(Synthetic, ShapesOfTheProblems) {
  const Table sine = synthetic("sine", {{"noise", 0.0}});
  for (std::size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(sine.columns[1].numbers[i], std::sin(sine.columns[0].numbers[i]));
  }
  const Table blobs =
      synthetic("blobs", {{"classes", std::int64_t{4}}, {"rows", std::int64_t{4000}}});
  double x = 0;
  for (std::size_t i = 0; i < 4000; i += 4) x += blobs.columns[0].numbers[i] / 1000;
  // Class 0 lies at (4, 0) with deviation 1: the mean of 1000 is within 5 of 1/sqrt(1000).
  EXPECT_NEAR(x, 4, 5 / std::sqrt(1000));
  const Table moons = synthetic("moons", {{"noise", 0.0}});
  for (std::size_t i = 0; i < 1000; i += 2) {
    EXPECT_NEAR(std::hypot(moons.columns[0].numbers[i], moons.columns[1].numbers[i]), 1, 1e-12);
  }
}

TEST(Synthetic, WordsItsErrors) {
  expect_error([] { synthetic("spiral"); }, ErrorKind::usage,
               {"\"spiral\"", "did you mean \"spirals\"?"});
  expect_error(
      [] {
        synthetic("moons", {{"classes", std::int64_t{3}}});
      },
      ErrorKind::usage, {"at most 2 classes"});
}

TEST(Readers, AreFoundByContent) {
  const TemporaryFolder folder;
  const auto columns = [&](const std::string& name, std::string_view content) {
    const Table t = read_tables(folder.write(name, content), default_options()).train;
    return std::pair(static_cast<bool>(t.block), t.columns.size());
  };
  EXPECT_EQ(columns("a.dat", "1,2\n3,4\n"), std::pair(false, std::size_t{2}));
  EXPECT_EQ(columns("noextension", "1 1:2\n-1 3:4\n"), std::pair(true, std::size_t{1}));
  EXPECT_EQ(columns("b.bin", encode_npy(Array(DType::float32, {2, 2}))),
            std::pair(true, std::size_t{0}));
  EXPECT_EQ(columns("c", idx_file(0x08, {2, 2}, "abcd")), std::pair(true, std::size_t{0}));
  EXPECT_EQ(columns("i", cifar_file({"\x01"})), std::pair(true, std::size_t{1}));
  EXPECT_EQ(columns("p", plain_png(2, 2, 1, 2, 3)), std::pair(true, std::size_t{0}));
  EXPECT_EQ(columns("j", jpeg_file(8, 8, JCS_GRAYSCALE, 1, Bytes(64, 9))),
            std::pair(true, std::size_t{0}));
  const auto path = folder.write("d.dat", "1 1:2\n-1 3:4\n");
  EXPECT_FALSE(read_tables(path, with({{"source", "csv"}})).train.block);
  expect_error([&] { read_tables(folder.path(), default_options()); }, ErrorKind::data,
               {"no reader knows this folder", "data.source"});
  expect_error(
      [&] {
        read_tables(path, [] {
          auto o = default_options();
          o.set("source", "cvs");
          return o;
        }());
      },
      ErrorKind::usage, {"no data source is called \"cvs\"", "did you mean \"csv\"?"});
}

}  // namespace
}  // namespace descent::data
