// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as the saved session of a generator, with and without a grammar; as they are, and once more
// with checksums that fit. A generator that took them goes on, and can be saved again, to go on with the same tokens;
// one that did not is as it was.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "format/checksum.h"
#include "format/writer.h"
#include "graph/page_layout.h"
#include "models/transformer.h"
#include "tern/tern.h"

namespace {

void check(bool good) {
  if (!good) std::abort();
}

// A file in memory, by its path.
class File {
 public:
  File() : descriptor_(memfd_create("session", 0)) {
    check(descriptor_ >= 0);
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  void fill(const std::vector<uint8_t>& bytes) {
    check(ftruncate(descriptor_, 0) == 0);
    check(pwrite(descriptor_, bytes.data(), bytes.size(), 0) == (ssize_t)bytes.size());
  }
  const char* path() const { return path_.c_str(); }

 private:
  int descriptor_;
  std::string path_;
};

// 8 tokens, 64 positions: one page.
tern::ModelDef small_model() {
  using namespace tern;
  ModelDef m;
  TransformerConfig c;
  c.vocab = c.hidden = c.ffn = 8, c.layers = 1, c.heads = 2, c.kv_heads = 1, c.head_dim = 4, c.positions = 64;
  const auto matrix = [&](const char* name, int64_t rows) {
    Parameter p;
    p.name = name, p.dtype = TERN_DTYPE_F32, p.encoding = Encoding::panel32, p.shape = {rows, 8};
    check(encoded_bytes(p.encoding, p.dtype, p.shape, &p.bytes) == TERN_OK);
    std::vector<float> plain((size_t)(rows * 8));
    for (size_t i = 0; i < plain.size(); ++i) plain[i] = (float)((i * 37 + (size_t)rows) % 19) / 10 - 0.9f;
    void* data = nullptr;
    p.data = make_data(p.bytes, &data);
    encode(p.encoding, p.dtype, p.shape, plain.data(), data);
    m.parameters.push_back(std::move(p));
  };
  for (const char* name : {"embed", "layers.0.q", "layers.0.o", "layers.0.gate", "layers.0.up", "layers.0.down"})
    matrix(name, 8);
  matrix("layers.0.k", 4), matrix("layers.0.v", 4);
  check(build_transformer(c, &m) == TERN_OK);
  return m;
}

// Tokens 0 to 6 are letters, 7 ends an answer.
constexpr const char* kTokenizer =
    R"({"added_tokens":[{"id":7,"content":"</s>","special":true,"single_word":false,"lstrip":false,"rstrip":false,)"
    R"("normalized":false}],"decoder":{"type":"Fuse"},"model":{"type":"BPE","merges":[],)"
    R"("vocab":{"a":0,"b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"</s>":7}}})";
constexpr std::string_view kGrammar = "root ::= part{1,12} \"g\"\npart ::= [a-d] | \"e\" part* \"f\"";

struct Subject {
  tern_model* model = nullptr;
  tern_tokenizer* tokenizer = nullptr;
  uint64_t page_bytes = 0;
  File file;

  Subject() {
    const tern::ModelDef def = small_model();
    tern::PageLayout pages;
    check(tern::lay_out_pages(def, &pages) == TERN_OK);
    page_bytes = pages.bytes;
    std::vector<uint8_t> bytes;
    check(tern::write_model_to_memory(def, &bytes) == TERN_OK);
    tern_context* context = nullptr;
    tern_context_options options = TERN_CONTEXT_OPTIONS_INIT;
    options.num_threads = 1;
    check(tern_context_create(&options, &context) == TERN_OK);
    tern_load_options copy = TERN_LOAD_OPTIONS_INIT;
    copy.flags = TERN_LOAD_COPY;
    check(tern_model_load_memory(context, bytes.data(), bytes.size(), &copy, &model) == TERN_OK);
    tern_context_release(context);
    check(tern_tokenizer_create(kTokenizer, std::strlen(kTokenizer), &tokenizer) == TERN_OK);
  }
};

// All checksums of a file with as many pages as its length needs.
void mend(std::vector<uint8_t>* bytes, uint64_t page_bytes) {
  const auto read = [&](size_t at) {
    uint64_t v;
    std::memcpy(&v, bytes->data() + at, 8);
    return v;
  };
  const auto write = [&](size_t at, uint64_t v) { std::memcpy(bytes->data() + at, &v, 8); };
  const int64_t length = (int64_t)read(24);
  const uint64_t pages = length > 0 && length <= 64, more = read(48), table = 64;
  uint64_t at = (table + 8 * (pages + 1) + 63) / 64 * 64;
  for (uint64_t i = 0; i <= pages; ++i) {
    const uint64_t n = i < pages ? page_bytes : more;
    if (at > bytes->size() || n > bytes->size() - at) break;
    write(table + 8 * i, tern::checksum64(bytes->data() + at, n));
    at = (at + n + 63) / 64 * 64;
  }
  if (bytes->size() >= table + 8 * (pages + 1)) write(40, tern::checksum64(bytes->data() + table, 8 * (pages + 1)));
  write(56, tern::checksum64(bytes->data(), 56));
}

// What the next steps give: tokens, or why there is none. With a grammar each is one of a text of it.
struct Steps {
  int32_t tokens[4] = {};
  tern_status statuses[4] = {};
  bool operator==(const Steps&) const = default;
};
Steps go_on(tern_generator* g) {
  Steps s;
  for (int i = 0; i < 4; ++i) {
    s.statuses[i] = tern_generator_next(g, &s.tokens[i], nullptr);
    check(s.tokens[i] >= 0 && s.tokens[i] < 8);
  }
  return s;
}

// One with a prompt, and two tokens of an answer.
tern_generator* begun(const Subject& s, bool slide, bool grammar) {
  tern_generator_options o = TERN_GENERATOR_OPTIONS_INIT;
  o.when_full = slide ? TERN_WHEN_FULL_SLIDE : TERN_WHEN_FULL_STOP;
  tern_generator* g = nullptr;
  check(tern_generator_create(s.model, &o, &g) == TERN_OK);
  if (grammar)
    check(tern_generator_set_grammar(g, s.tokenizer, TERN_GRAMMAR_GBNF, kGrammar.data(), kGrammar.size(), 0) ==
          TERN_OK);
  const int32_t prompt[] = {1, 2, 3};
  check(tern_generator_feed(g, prompt, 3, nullptr) == TERN_OK);
  int32_t token = 0;
  for (int i = 0; i < 2; ++i) check(tern_generator_next(g, &token, nullptr) == TERN_OK);
  return g;
}

void load(Subject& s, const std::vector<uint8_t>& bytes, bool slide, bool grammar) {
  static const auto untouched = [&] {
    std::array<Steps, 2> steps;
    for (int i = 0; i < 2; ++i) {
      tern_generator* const g = begun(s, false, i);
      steps[(size_t)i] = go_on(g);
      tern_generator_release(g);
    }
    return steps;
  }();
  tern_generator* const g = begun(s, slide, grammar);
  s.file.fill(bytes);
  const void* data = nullptr;
  size_t size = 0;
  const bool loaded = tern_generator_load(g, s.file.path(), &data, &size) == TERN_OK;
  if (!loaded) {
    check(tern_generator_length(g) == 5 && go_on(g) == untouched[grammar]);
    return tern_generator_release(g);
  }
  // Where to sync a file costs nothing.
  const std::string path = "/dev/shm/tern-fuzz-session-" + std::to_string(getpid());
  const std::vector<uint8_t> own((const uint8_t*)data, (const uint8_t*)data + size);
  const int64_t length = tern_generator_length(g);
  check(length <= tern_generator_capacity(g));
  check(tern_generator_save(g, path.c_str(), own.data(), own.size()) == TERN_OK);
  const Steps steps = go_on(g);
  check(tern_generator_length(g) <= tern_generator_capacity(g));
  if (tern_generator_length(g) >= 3) {  // into the answer, or before it
    check(tern_generator_truncate(g, tern_generator_length(g) - 3) == TERN_OK);
    go_on(g);
  }
  check(tern_generator_load(g, path.c_str(), &data, &size) == TERN_OK);
  check(tern_generator_length(g) == length && size == own.size());
  check(std::equal(own.begin(), own.end(), (const uint8_t*)data));
  check(go_on(g) == steps);
  unlink(path.c_str());
  tern_generator_release(g);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Subject subject;
  std::vector<uint8_t> bytes(data, data + size);
  bytes.shrink_to_fit();
  load(subject, bytes, size % 2, size / 2 % 2);
  if (size < 80) return 0;
  mend(&bytes, subject.page_bytes);
  load(subject, bytes, size % 2, false);
  load(subject, bytes, size % 2, true);
  return 0;
}
