// Decoding, fitting, and folders of images.
#include "descent/data/image.h"

#include <cmath>

#include "descent/data/loader.h"
#include "descent/data/pipeline.h"
#include "descent/data/registry.h"
#include "tests/data/images.h"

namespace descent::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Bytes pixels_of(const Image& image) {
  return {image.pixels.get(), image.pixels.get() + image.height * image.width * image.channels};
}

Bytes fitted(const Image& image, ImageSize size) {
  Bytes planes(static_cast<std::size_t>(size.bytes()));
  fit_image(image, size, planes.data());
  return planes;
}

TEST(Image, PngOfEveryKind) {
  const Image colour = decode_image(plain_png(2, 3, 10, 20, 30), "a.png");
  EXPECT_EQ(colour.height, 2);
  EXPECT_EQ(colour.width, 3);
  EXPECT_EQ(pixels_of(colour), (Bytes{10, 20, 30, 10, 20, 30, 10, 20, 30,  //
                                      10, 20, 30, 10, 20, 30, 10, 20, 30}));
  const Image grey = decode_image(png_file(1, 2, PNG_FORMAT_GRAY, {7, 255}), "a.png");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(pixels_of(grey), (Bytes{7, 255}));
  // The alpha channel is left out, the colours under it stay as they are.
  const Image alpha =
      decode_image(png_file(1, 2, PNG_FORMAT_RGBA, {1, 2, 3, 255, 200, 100, 50, 0}), "a.png");
  EXPECT_EQ(alpha.channels, 3);
  EXPECT_EQ(pixels_of(alpha), (Bytes{1, 2, 3, 200, 100, 50}));
  EXPECT_EQ(pixels_of(decode_image(png_file(1, 2, PNG_FORMAT_GA, {9, 0, 8, 128}), "a")),
            (Bytes{9, 8}));
}

// Quality 100 without subsampling: each pixel within 3 of 255 of what was written.
TEST(Image, Jpeg) {
  Bytes colours;
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 24; ++x) {
      colours.push_back(static_cast<std::uint8_t>(10 * x));
      colours.push_back(static_cast<std::uint8_t>(15 * y));
      colours.push_back(static_cast<std::uint8_t>(5 * x + 7 * y));
    }
  }
  const Image image = decode_image(jpeg_file(16, 24, JCS_RGB, 3, colours), "a.jpg");
  EXPECT_EQ(image.height, 16);
  EXPECT_EQ(image.width, 24);
  ASSERT_EQ(image.channels, 3);
  const Bytes got = pixels_of(image);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], colours[i], 3) << i;
  const Image grey = decode_image(jpeg_file(8, 8, JCS_GRAYSCALE, 1, Bytes(64, 77)), "a.jpg");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(pixels_of(grey), Bytes(64, 77));
}

// Inks as Adobe writes them, inverted: 255 is no ink.
TEST(Image, JpegOfFourInks) {
  Bytes inks;
  for (int i = 0; i < 64; ++i) inks.insert(inks.end(), {255, 128, 0, 200});
  const Bytes got = pixels_of(decode_image(jpeg_file(8, 8, JCS_CMYK, 4, inks), "a.jpg"));
  EXPECT_NEAR(got[0], 200, 2);
  EXPECT_NEAR(got[1], 128 * 200 / 255, 2);
  EXPECT_NEAR(got[2], 0, 2);
}

// torch.nn.functional.interpolate(mode="bilinear", antialias=True), then the middle, in float64.
TEST(Image, FitsAsTorchvisionDoes) {
  Bytes pixels;
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 9; ++x) {
      pixels.push_back(static_cast<std::uint8_t>(y * 37 + x * 53 + x * y * 11));
    }
  }
  const Image image = decode_image(png_file(6, 9, PNG_FORMAT_GRAY, pixels), "a.png");
  const auto expect = [&](std::int64_t height, std::int64_t width,
                          const std::vector<double>& expected) {
    const Bytes got = fitted(image, {1, height, width});
    ASSERT_EQ(got.size(), expected.size());
    // Rounded to a byte from float32.
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 0.51) << i;
  };
  expect(3, 3, {76.85, 146.57, 100.57, 133.6, 122.41, 112.63, 143.33, 144.64, 130.72});
  expect(4, 2, {165.94, 84.14, 116.26, 121.67, 122.93, 102.48, 164.5, 137.64});
  expect(8, 8,
         {72.88,  112.62, 152.38, 192.12, 135.88, 15.62,  55.38,  95.12,  105.45, 150.36, 195.27,
          140.17, 89.08,  73.98,  118.89, 163.8,  144.55, 183.64, 162.73, 101.83, 92.92,  132.02,
          111.11, 150.2,  171.64, 180.92, 70.2,   99.48,  144.77, 154.05, 43.33,  72.61,  138.73,
          58.2,   97.67,  157.14, 136.61, 56.08,  95.55,  155.02, 165.83, 75.48,  145.14, 114.8,
          88.45,  98.11,  167.77, 137.42, 144.92, 120.77, 196.61, 112.45, 92.3,   156.14, 159.98,
          123.83, 77.5,   158.5,  239.5,  160.5,  145.5,  194.5,  83.5,   132.5});
  EXPECT_EQ(fitted(image, {1, 6, 9}), pixels);  // its own size: nothing changes
}

TEST(Image, GreyAndColour) {
  const Image grey = decode_image(png_file(1, 2, PNG_FORMAT_GRAY, {7, 255}), "a.png");
  EXPECT_EQ(fitted(grey, {3, 1, 2}), (Bytes{7, 255, 7, 255, 7, 255}));
  const Image colour = decode_image(png_file(1, 1, PNG_FORMAT_RGB, {10, 100, 200}), "a.png");
  EXPECT_EQ(fitted(colour, {3, 1, 1}), (Bytes{10, 100, 200}));
  EXPECT_EQ(fitted(colour, {1, 1, 1}), (Bytes{84}));  // 0.299 * 10 + 0.587 * 100 + 0.114 * 200
}

TEST(Image, RefusesMorePixelsThanAllowed) {
  expect_error([] { decode_image(plain_png(10, 20, 0, 0, 0), "a.png", 199); }, ErrorKind::data,
               {"a.png", "20 x 10 pixels", "199"});
  EXPECT_EQ(decode_image(plain_png(10, 20, 0, 0, 0), "a.png", 200).width, 20);
}

// ---- folders ----

class ImageFolder : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) const {
    const auto path = folder_.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    return folder_.write(name, bytes);
  }
  Tables read(std::vector<std::pair<std::string, OptionValue>> values = {}) const {
    return read_tables(folder_.path(), with(std::move(values)));
  }
  TemporaryFolder folder_;
};

TEST_F(ImageFolder, ClassesAreFolders) {
  write("dog/b.png", plain_png(2, 2, 1, 1, 1));
  write("dog/a.PNG", plain_png(2, 2, 2, 2, 2));
  write("cat/x.jpeg", jpeg_file(2, 2, JCS_GRAYSCALE, 1, Bytes(4, 3)));
  write("cat/notes.txt", "no image");
  write("cat/.hidden.png", "no image");
  write("empty/readme.md", "no image");
  const Table table = read().train;
  EXPECT_EQ(table.block.shape(), (Shape{3, 3, 2, 2}));
  EXPECT_EQ(table.block.dtype(), DType::uint8);
  EXPECT_THAT(table.columns.at(0).dictionary, ElementsAre("cat", "dog"));
  EXPECT_THAT(table.columns[0].codes, ElementsAre(0, 1, 1));
  EXPECT_THAT(table.files,
              ElementsAre(HasSubstr("cat/x.jpeg"), HasSubstr("dog/a.PNG"), HasSubstr("dog/b.png")));
  EXPECT_EQ(table.block.item(0), 3);
  EXPECT_EQ(table.block.item(12), 2);
  EXPECT_EQ(table.block.item(24), 1);
  EXPECT_THAT(table.warnings, ElementsAre());
}

TEST_F(ImageFolder, PartsAreFoldersAboveTheClasses) {
  for (const char* name : {"train/a/1.png", "train/b/1.png", "train/b/2.png", "val/a/1.png",
                           "val/b/1.png", "test/a/1.png"}) {
    write(name, plain_png(2, 2, 5, 6, 7));
  }
  const Tables tables = read();
  EXPECT_EQ(tables.train.rows, 3);
  ASSERT_TRUE(tables.valid && tables.test);
  EXPECT_EQ(tables.valid->rows, 2);
  EXPECT_EQ(tables.test->rows, 1);
  const Splits splits = load(with({{"path", folder_.path()}}), 1);
  EXPECT_EQ(splits.train.rows(), 3);
  EXPECT_EQ(splits.valid.rows(), 2);
  EXPECT_THAT(splits.transform.class_names(), ElementsAre("a", "b"));
}

// A class may be called "train": what counts is whether it holds images or folders.
TEST_F(ImageFolder, AClassNamedTrain) {
  write("train/1.png", plain_png(2, 2, 5, 6, 7));
  write("bus/1.png", plain_png(2, 2, 5, 6, 7));
  EXPECT_THAT(read().train.columns.at(0).dictionary, ElementsAre("bus", "train"));
}

TEST_F(ImageFolder, SizeAndChannels) {
  write("a/1.png", plain_png(10, 20, 10, 100, 200));
  write("b/1.png", plain_png(30, 7, 10, 100, 200));
  const Table grey =
      read({{"image_size", std::vector<std::int64_t>{4, 6}}, {"channels", std::int64_t{1}}}).train;
  EXPECT_EQ(grey.block.shape(), (Shape{2, 1, 4, 6}));
  for (std::int64_t i = 0; i < grey.block.size(); ++i) EXPECT_EQ(grey.block.item(i), 84);
  EXPECT_EQ(read({{"image_size", std::vector<std::int64_t>{5}}}).train.block.shape(),
            (Shape{2, 3, 5, 5}));
  expect_error([&] { read(); }, ErrorKind::usage,
               {"b/1.png", "30 x 7", "1.png is 10 x 20", "data.image_size"});
  expect_error(
      [&] {
        read({{"image_size", std::vector<std::int64_t>{1, 2, 3}}});
      },
      ErrorKind::usage, {"data.image_size", "[height, width]"});
  expect_error([&] { read({{"channels", std::int64_t{2}}}); }, ErrorKind::usage, {"data.channels"});
}

TEST_F(ImageFolder, ABadImageIsLeftOutOrStops) {
  write("a/1.png", plain_png(2, 2, 1, 1, 1).substr(0, 40));
  write("a/2.png", plain_png(2, 2, 2, 2, 2));
  write("b/1.png", plain_png(2, 2, 3, 3, 3));
  write("b/2.jpg", "");
  write("b/3.png", plain_png(2, 2, 4, 4, 4));
  const Table table = read().train;
  EXPECT_THAT(table.columns.at(0).codes, ElementsAre(0, 1, 1));
  EXPECT_EQ(table.block.shape(), (Shape{3, 3, 2, 2}));
  EXPECT_EQ(table.block.item(0), 2);
  EXPECT_EQ(table.block.item(12), 3);
  EXPECT_EQ(table.block.item(24), 4);
  EXPECT_THAT(table.files,
              ElementsAre(HasSubstr("a/2.png"), HasSubstr("b/1.png"), HasSubstr("b/3.png")));
  EXPECT_THAT(table.warnings,
              ElementsAre(testing::AllOf(HasSubstr("2 images left out"), HasSubstr("a/1.png"),
                                         HasSubstr("data.strict"))));
  expect_error([&] { read({{"strict", true}}); }, ErrorKind::data, {"a/1.png", "does not decode"});
  // More bad ones than good ones stop in any case.
  for (const char* name : {"b/4.png", "b/5.png"}) write(name, "\x89PNG\r\n\x1A\n torn");
  expect_error([&] { read(); }, ErrorKind::data, {"4 of 7 images do not decode", "a/1.png"});
}

TEST_F(ImageFolder, WithoutLabelsAndSingleImages) {
  const auto one = write("b.png", plain_png(4, 4, 1, 2, 3));
  write("a.png", plain_png(4, 4, 1, 2, 3));
  const Table table = read().train;
  EXPECT_EQ(table.rows, 2);
  EXPECT_TRUE(table.columns.empty());
  const Table single = read_tables(one, default_options()).train;
  EXPECT_EQ(single.block.shape(), (Shape{1, 3, 4, 4}));
  EXPECT_THAT(single.files, ElementsAre(one));
  expect_error(
      [&] {
        load(with({{"path", folder_.path()}}), 1);
      },
      ErrorKind::data, {"there are no targets"});
}

// A model takes images as it was trained, whatever their size and whatever it was trained from.
TEST_F(ImageFolder, ImagesForATrainedModel) {
  const TemporaryFolder other;
  other.write("train-images-idx3-ubyte", idx_file(0x08, {4, 2, 3}, std::string(24, 'x')));
  other.write("train-labels-idx1-ubyte", idx_file(0x08, {4}, std::string{0, 1, 0, 1}));
  const Splits splits = load(with({{"path", other.path()}}), 1);
  write("b.png", plain_png(20, 40, 10, 100, 200));
  write("a.png", plain_png(9, 9, 10, 100, 200));
  const LoadedRows rows = load_for(splits.transform, folder_.path(), false);
  EXPECT_EQ(rows.data.features.shape(), (Shape{2, 1, 2, 3}));
  EXPECT_EQ(rows.data.features.item(0), 84);
  EXPECT_THAT(rows.files, ElementsAre(HasSubstr("a.png"), HasSubstr("b.png")));
}

TEST_F(ImageFolder, NoImages) {
  write("a/x.txt", "text");
  expect_error(
      [&] {
        read({{"source", "image_folder"}});
      },
      ErrorKind::data, {"no images", "CLASS/*.jpg"});
}

}  // namespace
}  // namespace descent::data
