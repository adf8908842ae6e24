// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of folders, without a fuzz engine.
//   replay [--changes N] [--seed S] [--keep FILE] FILE_OR_FOLDER...
// --keep FILE  writes each input to FILE before it runs, for the one that ends the program
// --changes N  also runs N changed copies of each file: the same ones in every run with the same seed (TERN_FUZZ_SEED,
// else 1) Each run may take a second and 64 MiB beyond its input.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/fuzz/bounds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// A target may change its inputs in a way of its own, as with the fuzz engine.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed)
    __attribute__((weak));

namespace {

using File = std::vector<uint8_t>;

struct Random {
  uint64_t state;
  uint64_t next() {  // splitmix64
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  size_t below(size_t n) { return n ? (size_t)(next() % n) : 0; }
};

constexpr size_t kMostBytes = 64 << 10;

void change_as_target(File& f, Random& r) {
  const size_t size = std::min(f.size(), kMostBytes);
  f.resize(kMostBytes);
  f.resize(LLVMFuzzerCustomMutator(f.data(), size, kMostBytes, (unsigned)r.next()));
}

// One to four of: a bit, a byte, a number that is often special, a piece copied to another place, a cut, an insertion.
void change(File& f, Random& r) {
  static constexpr int64_t kNumbers[] = {0,         1,         -1,        2,         127, 128,  255,    65535,
                                         INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 64,  4096, 1 << 20};
  for (size_t n = 1 + r.below(4); n > 0 && !f.empty(); --n) {
    const size_t at = r.below(f.size());
    switch (r.below(8)) {
      case 0:
      case 1: f[at] ^= (uint8_t)(1u << r.below(8)); break;
      case 2: f[at] = (uint8_t)r.next(); break;
      case 3:
      case 4: {
        const int64_t v = kNumbers[r.below(std::size(kNumbers))];
        const size_t width = size_t(1) << r.below(4), to = at / width * width;
        if (to + width <= f.size()) std::memcpy(f.data() + to, &v, width);
        break;
      }
      case 5: {
        const size_t from = r.below(f.size()), bytes = r.below(std::min<size_t>(64, f.size() - std::max(at, from)) + 1);
        std::memmove(f.data() + at, f.data() + from, bytes);
        break;
      }
      case 6: f[at] = (uint8_t)(f[at] + (r.below(2) ? 1 : -1)); break;
      default:
        if (r.below(4) == 0) f.resize(at);
        else if (r.below(2)) f.insert(f.begin() + (ptrdiff_t)at, r.below(16), (uint8_t)r.next());
        else f[at] = 0;
    }
  }
}

std::string kept;  // the name of a file, or ""

// False if it took too long or too much.
bool run(const File& f, const std::string& path, size_t number) {
  using namespace tern::test;
  // Exactly as large as the content, so that a sanitizer sees the first byte behind it.
  const std::vector<uint8_t> exact(f.begin(), f.end());
  if (!kept.empty())
    std::ofstream(kept, std::ios::binary).write((const char*)exact.data(), (std::streamsize)exact.size());
  reset_peak();
  const uint64_t before = live_bytes();
  const double start = cpu_seconds();
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  const double seconds = cpu_seconds() - start, mib = (double)(peak_bytes() - before) / (1 << 20);
  if (seconds <= kSlower && mib <= 64) return true;
  std::fprintf(stderr, "%s, change %zu: %.1f s, %.0f MiB\n", path.c_str(), number, seconds, mib);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  size_t changes = 0;
  const char* const asked = std::getenv("TERN_FUZZ_SEED");
  uint64_t seed = asked ? std::strtoull(asked, nullptr, 10) : 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--changes" && i + 1 < argc) changes = std::strtoull(argv[++i], nullptr, 10);
    else if (a == "--keep" && i + 1 < argc) kept = argv[++i];
    else if (a == "--seed" && i + 1 < argc) seed = std::strtoull(argv[++i], nullptr, 10);
    else if (std::filesystem::is_directory(a)) {
      for (const auto& e : std::filesystem::recursive_directory_iterator(a))
        if (e.is_regular_file()) files.push_back(e.path().string());
    } else files.push_back(a);
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "no files to run\n");
    return 1;
  }
  bool good = run({}, "nothing", 0);
  size_t runs = 1;
  for (const std::string& path : files) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
      std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
      return 1;
    }
    const File whole(std::istreambuf_iterator<char>(in), {});
    good = run(whole, path, 0) && good;
    Random random{seed};
    File changed = whole;
    for (size_t k = 0; k < changes; ++k) {
      File f = whole;
      if (LLVMFuzzerCustomMutator) {  // one change upon another, for a while
        if (k % 64 == 0) changed = whole;
        change_as_target(changed, random);
        f = changed;
      } else {
        change(f, random);
      }
      good = run(f, path, k + 1) && good;
    }
    runs += 1 + changes;
  }
  std::printf("%zu files, %zu runs\n", files.size(), runs);
  return good ? 0 : 1;
}
