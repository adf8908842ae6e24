// SPDX-License-Identifier: Apache-2.0
// samples/image.h: reading with every EXIF orientation, hostile files, writing, drawing.
#include "../../samples/image.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/tern_image_XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() {
    for (const char* file : {"/a", "/a.part", "/b.png", "/b.png.part"}) unlink((path + file).c_str());
    rmdir(path.c_str());
  }
};

void append(void* context, void* data, int n) {
  Bytes& out = *static_cast<Bytes*>(context);
  out.insert(out.end(), static_cast<uint8_t*>(data), static_cast<uint8_t*>(data) + n);
}

void write_file(const std::string& path, const Bytes& bytes) {
  FILE* f = fopen(path.c_str(), "wb");
  ASSERT_NE(f, nullptr);
  const size_t written = bytes.empty() ? 0 : fwrite(bytes.data(), 1, bytes.size(), f);
  ASSERT_EQ(written, bytes.size());
  fclose(f);
}

// 48 x 32: the upper left quarter red, upper right green, lower left blue, lower right white.
Bytes quarters() {
  Bytes rgb;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 48; ++x) {
      const bool right = x >= 24, low = y >= 16;
      rgb.push_back(right == low ? 255 : 0);
      rgb.push_back(right ? 255 : 0);
      rgb.push_back(low ? 255 : 0);
    }
  return rgb;
}

Bytes jpeg() {
  Bytes out;
  stbi_write_jpg_to_func(append, &out, 48, 32, 3, quarters().data(), 95);
  return out;
}

Bytes number(uint32_t v, int bytes, bool big) {
  Bytes out;
  for (int i = 0; i < bytes; ++i) out.push_back(uint8_t(v >> 8 * (big ? bytes - 1 - i : i)));
  return out;
}

void add(Bytes* to, const Bytes& more) { to->insert(to->end(), more.begin(), more.end()); }

// A TIFF block with one entry before the orientation, a number of 8, 16 or 32 bits (types 1, 3, 4).
Bytes tiff(int orientation, bool big, int type = 3) {
  Bytes t = big ? Bytes{'M', 'M', 0, '*'} : Bytes{'I', 'I', '*', 0};
  add(&t, number(8, 4, big));
  add(&t, number(2, 2, big));
  for (const int tag : {0x010F, 0x0112}) {
    add(&t, number(uint32_t(tag), 2, big));
    add(&t, number(uint32_t(type), 2, big));
    add(&t, number(1, 4, big));
    const int bytes = type == 4 ? 4 : type == 3 ? 2 : 1;
    add(&t, number(uint32_t(tag == 0x0112 ? orientation : 99), bytes, big));
    add(&t, Bytes(size_t(4 - bytes), 0));
  }
  add(&t, number(0, 4, big));
  return t;
}

Bytes with_exif(const Bytes& file, const Bytes& block) {
  Bytes out(file.begin(), file.begin() + 2);
  add(&out, {0xFF, 0xE1});
  add(&out, number(uint32_t(block.size()) + 8, 2, true));
  add(&out, {'E', 'x', 'i', 'f', 0, 0});
  add(&out, block);
  out.insert(out.end(), file.begin() + 2, file.end());
  return out;
}

Bytes png() {
  Bytes out;
  stbi_write_png_to_func(append, &out, 48, 32, 3, quarters().data(), 48 * 3);
  return out;
}

// Behind the header, or behind the pixels. stb does not look at the check sum of a chunk that it skips.
Bytes with_exif_chunk(const Bytes& file, const Bytes& block, bool behind) {
  const ptrdiff_t at = behind ? ptrdiff_t(file.size()) - 12 : 33;
  Bytes out(file.begin(), file.begin() + at);
  add(&out, number(uint32_t(block.size()), 4, true));
  add(&out, {'e', 'X', 'I', 'f'});
  add(&out, block);
  add(&out, {0, 0, 0, 0});
  out.insert(out.end(), file.begin() + at, file.end());
  return out;
}

// One letter for each corner of the picture: upper left, upper right, lower left, lower right.
std::string corners(const uint8_t* rgb, int w, int h) {
  std::string s;
  for (const int y : {h / 4, 3 * h / 4})
    for (const int x : {w / 4, 3 * w / 4}) {
      const uint8_t* p = rgb + (y * w + x) * 3;
      const bool r = p[0] > 128, g = p[1] > 128, b = p[2] > 128;
      s += r && g && b ? 'W' : r ? 'R' : g ? 'G' : b ? 'B' : '?';
    }
  return s;
}

std::string read_corners(const Bytes& file, int* w, int* h) {
  Folder folder;
  write_file(folder.path + "/a", file);
  uint8_t* rgb = image_read((folder.path + "/a").c_str(), w, h);
  if (rgb == nullptr) return image_error();
  const std::string s = corners(rgb, *w, *h);
  free(rgb);
  return s;
}

TEST(ImageHeader, TurnsByExifOrientation) {
  // What a viewer shows for each orientation of a file stored as "RG / BW".
  const char* const expected[] = {"RGBW", "RGBW", "GRWB", "WBGR", "BWRG", "RBGW", "BRWG", "WGBR", "GWRB"};
  for (int orientation = 0; orientation <= 9; ++orientation) {
    for (const bool big : {false, true}) {
      int w = 0, h = 0;
      for (const int type : {1, 3, 4}) {
        const Bytes block = tiff(orientation, big, type);
        Bytes with_head = {'E', 'x', 'i', 'f', 0, 0};
        add(&with_head, block);
        for (const Bytes& file : {with_exif(jpeg(), block), with_exif_chunk(png(), block, false),
                                  with_exif_chunk(png(), block, true), with_exif_chunk(png(), with_head, true)}) {
          EXPECT_EQ(read_corners(file, &w, &h), orientation == 9 ? "RGBW" : expected[orientation])
              << orientation << " of type " << type;
          const bool swapped = orientation >= 5 && orientation <= 8;
          EXPECT_EQ(w, swapped ? 32 : 48);
          EXPECT_EQ(h, swapped ? 48 : 32);
        }
      }
    }
  }
  int w, h;  // a number that no 16 bits hold, two numbers, and a text are no orientation
  EXPECT_EQ(read_corners(with_exif_chunk(png(), tiff(0x10006, true, 4), false), &w, &h), "RGBW");
  Bytes two = tiff(6, true);
  two[29] = 2;
  EXPECT_EQ(read_corners(with_exif_chunk(png(), two, false), &w, &h), "RGBW");
  EXPECT_EQ(read_corners(with_exif_chunk(png(), tiff(6, true, 2), false), &w, &h), "RGBW");
}

// A PNG file whose pixels are not packed: `rows` holds a filter byte of 0 and the samples of each row.
Bytes plain_png(int width, int height, int bits, int kind, const Bytes& rows, const Bytes& before_pixels = {}) {
  const auto chunk = [](const char* name, const Bytes& data) {
    Bytes c = number(uint32_t(data.size()), 4, true);
    add(&c, Bytes(name, name + 4));
    add(&c, data);
    add(&c, {0, 0, 0, 0});  // stb does not look at it
    return c;
  };
  Bytes header = number(uint32_t(width), 4, true);
  add(&header, number(uint32_t(height), 4, true));
  add(&header, {uint8_t(bits), uint8_t(kind), 0, 0, 0});
  Bytes packed = {0x78, 1, 1};
  add(&packed, number(uint32_t(rows.size()), 2, false));
  add(&packed, number(uint32_t(rows.size()) ^ 0xFFFF, 2, false));
  add(&packed, rows);
  add(&packed, {0, 0, 0, 0});
  Bytes file = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  add(&file, chunk("IHDR", header));
  add(&file, before_pixels);
  add(&file, chunk("IDAT", packed));
  add(&file, chunk("IEND", {}));
  return file;
}

Bytes read_pixels(const Bytes& file) {
  Folder folder;
  write_file(folder.path + "/a", file);
  int w = 0, h = 0;
  uint8_t* rgb = image_read((folder.path + "/a").c_str(), &w, &h);
  if (rgb == nullptr) return Bytes(image_error(), image_error() + strlen(image_error()));
  const Bytes out(rgb, rgb + size_t(w) * size_t(h) * 3);
  free(rgb);
  return out;
}

TEST(ImageHeader, TransparentPixelsLieOnWhite) {
  // R G B A: seen through, half, whole
  EXPECT_EQ(read_pixels(plain_png(3, 1, 8, 6, {0, 10, 20, 30, 0, 0, 100, 255, 128, 1, 2, 3, 255})),
            (Bytes{255, 255, 255, 127, 177, 255, 1, 2, 3}));
  EXPECT_EQ(read_pixels(plain_png(2, 1, 8, 4, {0, 50, 0, 50, 255})), (Bytes{255, 255, 255, 50, 50, 50}));  // grey
  Bytes palette = number(6, 4, true), transparent = number(1, 4, true), key = number(6, 4, true);
  add(&palette, {'P', 'L', 'T', 'E', 9, 8, 7, 6, 5, 4, 0, 0, 0, 0});
  add(&transparent, {'t', 'R', 'N', 'S', 0, 0, 0, 0, 0});
  add(&palette, transparent);
  EXPECT_EQ(read_pixels(plain_png(2, 1, 8, 3, {0, 0, 1}, palette)), (Bytes{255, 255, 255, 6, 5, 4}));
  add(&key, {'t', 'R', 'N', 'S', 0, 1, 0, 2, 0, 3, 0, 0, 0, 0});  // one colour of R G B is seen through
  EXPECT_EQ(read_pixels(plain_png(2, 1, 8, 2, {0, 1, 2, 3, 4, 5, 6}, key)), (Bytes{255, 255, 255, 4, 5, 6}));
}

TEST(ImageHeader, OfSixteenBitsTheUpperEightCount) {
  EXPECT_EQ(read_pixels(plain_png(2, 1, 16, 0, {0, 0x12, 0xFF, 0xFF, 0x01})),
            (Bytes{0x12, 0x12, 0x12, 0xFF, 0xFF, 0xFF}));
  EXPECT_EQ(read_pixels(plain_png(1, 1, 16, 2, {0, 1, 99, 2, 98, 3, 97})), (Bytes{1, 2, 3}));
  EXPECT_EQ(read_pixels(plain_png(1, 1, 16, 6, {0, 1, 99, 2, 98, 3, 97, 0, 0})), (Bytes{255, 255, 255}));
}

// tests/image/cmyk.jpg: 16 x 16, of one colour (Pillow: Image.new("CMYK", (16, 16), (200, 100, 20, 30)).save(...)).
TEST(ImageHeader, CmykNeedsItsSegmentOfAdobe) {
  std::ifstream in(TERN_SOURCE_DIR "/tests/image/cmyk.jpg", std::ios::binary);
  Bytes file{std::istreambuf_iterator<char>(in), {}};
  ASSERT_GT(file.size(), 100u);
  const Bytes rgb = read_pixels(file);
  ASSERT_EQ(rgb.size(), 16u * 16 * 3);
  const int want[3] = {49, 137, 207};  // Pillow: convert("RGB")
  for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(rgb[c], want[c], 2);
  const char name[] = "Adobe";
  const auto at = std::search(file.begin(), file.end(), name, name + 5);
  ASSERT_NE(at, file.end());
  *at = 'X';
  const Bytes error = read_pixels(file);
  EXPECT_NE(std::string(error.begin(), error.end()).find("CMYK"), std::string::npos);
}

TEST(ImageHeader, BrokenExifIsIgnored) {
  const Bytes plain = jpeg();
  int w, h;
  EXPECT_EQ(read_corners(plain, &w, &h), "RGBW");
  const Bytes good = tiff(6, true);
  for (size_t n = 0; n < good.size(); ++n) {
    const std::string s = read_corners(with_exif(plain, Bytes(good.begin(), good.begin() + ptrdiff_t(n))), &w, &h);
    EXPECT_TRUE(s == "RGBW" || (n >= 34 && s == "BRWG")) << n << s;
    const std::string in_png =
        read_corners(with_exif_chunk(png(), Bytes(good.begin(), good.begin() + ptrdiff_t(n)), false), &w, &h);
    EXPECT_TRUE(in_png == "RGBW" || (n >= 34 && in_png == "BRWG")) << n << in_png;
  }
  for (const uint32_t directory : {0u, 7u, 30u, 38u, 39u, 40u, 0x7FFFFFFFu, 0xFFFFFFFEu, 0xFFFFFFFFu}) {
    Bytes t = good;
    const Bytes n = number(directory, 4, true);
    std::copy(n.begin(), n.end(), t.begin() + 4);
    EXPECT_EQ(read_corners(with_exif(plain, t), &w, &h), "RGBW") << directory;
  }
  Bytes many = good;  // 65,535 entries said
  many[8] = many[9] = 0xFF;
  many[22] = 0;  // and no orientation among those that are there
  EXPECT_EQ(read_corners(with_exif(plain, many), &w, &h), "RGBW");
}

TEST(ImageHeader, OrientationParserSurvivesRandomBytes) {
  std::mt19937 random(3);
  for (const Bytes& good : {with_exif(jpeg(), tiff(6, false)), with_exif_chunk(png(), tiff(6, false, 4), false)}) {
    for (size_t n = 0; n <= 90; ++n) {
      // A block of its own size, so that the address sanitizer sees a read beyond it.
      Bytes exact(good.begin(), good.begin() + ptrdiff_t(n));
      exact.shrink_to_fit();
      image_orientation_(exact.data(), exact.size());
    }
    const size_t keep = good[0] == 0xFF ? 2 : 8;
    for (int i = 0; i < 200000; ++i) {
      Bytes b(good.begin(), good.begin() + 60 + ptrdiff_t(random() % 30));
      for (int k = 0; k < 3; ++k) b[keep + random() % (b.size() - keep)] = uint8_t(random());
      const int o = image_orientation_(b.data(), b.size());
      ASSERT_TRUE(o >= 1 && o <= 8);
    }
  }
}

TEST(ImageHeader, DamagedFilesGiveAnErrorOrAPicture) {
  std::mt19937 random(4);
  for (const Bytes& good : {jpeg(), png(), with_exif_chunk(png(), tiff(8, true), true)}) {
    for (int i = 0; i < 300; ++i) {
      Bytes b(good.begin(), good.begin() + ptrdiff_t(random() % good.size()));
      for (int k = 0; k < 3 && !b.empty(); ++k) b[random() % b.size()] = uint8_t(random());
      int w = -7, h = -7;
      Folder folder;
      write_file(folder.path + "/a", b);
      uint8_t* rgb = image_read((folder.path + "/a").c_str(), &w, &h);
      if (rgb == nullptr) {
        EXPECT_TRUE(w == -7 && h == -7);
        EXPECT_NE(std::string(image_error()).find(folder.path), std::string::npos);
      }
      free(rgb);
    }
  }
}

TEST(ImageHeader, RefusesHuffmanTablesThatOverrunTheDecoder) {
  Bytes file = jpeg();
  for (size_t i = 2; i + 20 < file.size(); ++i) {
    if (file[i] != 0xFF || file[i + 1] != 0xC4) continue;
    for (size_t k = 0; k < 16; ++k) file[i + 5 + k] = 255;
    break;
  }
  int w, h;
  EXPECT_NE(read_corners(file, &w, &h).find("Huffman"), std::string::npos);
}

TEST(ImageHeader, SaysWhatIsWrong) {
  Folder folder;
  int w = 1, h = 1;
  EXPECT_EQ(image_read((folder.path + "/missing").c_str(), &w, &h), nullptr);
  EXPECT_NE(std::string(image_error()).find("No such file"), std::string::npos);
  EXPECT_EQ(image_read(folder.path.c_str(), &w, &h), nullptr);
  EXPECT_NE(std::string(image_error()).find("folder"), std::string::npos);
  EXPECT_EQ(image_read(nullptr, &w, &h), nullptr);
  write_file(folder.path + "/a", {});
  EXPECT_EQ(image_read((folder.path + "/a").c_str(), &w, &h), nullptr);
  EXPECT_NE(std::string(image_error()).find("empty"), std::string::npos);
  write_file(folder.path + "/a", {'h', 'e', 'l', 'l', 'o'});
  EXPECT_EQ(image_read((folder.path + "/a").c_str(), &w, &h), nullptr);
  // A PNG that says 60,000 x 60,000 pixels.
  Bytes png;
  stbi_write_png_to_func(append, &png, 48, 32, 3, quarters().data(), 48 * 3);
  for (const int at : {16, 20}) {
    const Bytes n = number(60000, 4, true);
    std::copy(n.begin(), n.end(), png.begin() + at);
  }
  write_file(folder.path + "/a", png);
  EXPECT_EQ(image_read((folder.path + "/a").c_str(), &w, &h), nullptr);
  EXPECT_FALSE(std::string(image_error()).empty());
}

TEST(ImageHeader, ReadsAPipe) {
  Bytes png;
  stbi_write_png_to_func(append, &png, 48, 32, 3, quarters().data(), 48 * 3);
  int ends[2], w = 0, h = 0;
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], png.data(), png.size()), (ssize_t)png.size());
  close(ends[1]);
  FILE* file = fdopen(ends[0], "rb");
  uint8_t* rgb = image_read_stream(file, "the pipe", &w, &h);
  ASSERT_NE(rgb, nullptr);
  EXPECT_TRUE(w == 48 && h == 32 && memcmp(rgb, quarters().data(), quarters().size()) == 0);
  free(rgb);
  EXPECT_EQ(image_read_stream(file, "the pipe", &w, &h), nullptr);  // nothing is left
  EXPECT_NE(std::string(image_error()).find("the pipe: the file is empty"), std::string::npos);
  EXPECT_EQ(image_read_stream(nullptr, "a", &w, &h), nullptr);
  fclose(file);
}

TEST(ImageHeader, WritesAndReadsBack) {
  Folder folder;
  const Bytes rgb = quarters();
  const std::string path = folder.path + "/b.png";
  ASSERT_EQ(image_write_png(path.c_str(), rgb.data(), 48, 32), 1);
  int w, h;
  uint8_t* back = image_read(path.c_str(), &w, &h);
  ASSERT_NE(back, nullptr);
  EXPECT_TRUE(w == 48 && h == 32 && memcmp(back, rgb.data(), rgb.size()) == 0);
  free(back);
  ASSERT_EQ(image_write_jpeg(path.c_str(), rgb.data(), 48, 32, 90), 1);
  EXPECT_NE(access((path + ".part").c_str(), F_OK), 0);
  const Bytes grey = {0, 1, 2, 128, 254, 255};
  ASSERT_EQ(image_write_png_grey(path.c_str(), grey.data(), 3, 2), 1);
  back = image_read(path.c_str(), &w, &h);
  ASSERT_TRUE(back && w == 3 && h == 2);
  for (size_t i = 0; i < 18; ++i) EXPECT_EQ(back[i], grey[i / 3]);
  free(back);
  EXPECT_EQ(image_write_png((folder.path + "/none/b.png").c_str(), rgb.data(), 48, 32), 0);
  EXPECT_EQ(image_write_png(path.c_str(), nullptr, 48, 32), 0);
  EXPECT_EQ(image_write_png(path.c_str(), rgb.data(), 0, 32), 0);
  EXPECT_EQ(image_write_png(path.c_str(), rgb.data(), INT32_MAX, INT32_MAX), 0);
}

TEST(ImageHeader, DrawsInsideThePicture) {
  const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, -20, 0, 10, 25, 60};
  const int w = 30, h = 20;
  const size_t guard = 64;
  Bytes block(size_t(w * h * 3) + 2 * guard, 0xA5);
  for (const float a : bad)
    for (const float b : bad)
      for (const float c : bad)
        for (const float d : bad) {
          image_draw_box(block.data() + guard, w, h, a, b, c, d, 3, 0x112233);
          image_draw_line(block.data() + guard, w, h, a, b, c, d, 3, 0x112233);
        }
  for (size_t i = 0; i < guard; ++i) {
    ASSERT_EQ(block[i], 0xA5);
    ASSERT_EQ(block[block.size() - 1 - i], 0xA5);
  }
  EXPECT_EQ(block[guard], 0x11);
}

}  // namespace
