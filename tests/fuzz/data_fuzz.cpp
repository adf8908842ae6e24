// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as training data: an array of NumPy, records of JSON, a text, and the text of a tokenizer that
// is trained. What is taken gives samples within its bounds.
#include <cstdlib>
#include <cstring>

#include "data/bpe_trainer.h"
#include "data/npy.h"
#include "data/samples.h"
#include "data/tokens.h"
#include "text/tokenizer_json.h"

namespace {

using namespace tern;
using namespace tern::data;

void check(bool good) {
  if (!good) std::abort();
}

constexpr int64_t kTokens = 259;

std::shared_ptr<const tokens::Tokenizer> tokenizer() {
  tokens::TokenizerDef d;
  d.byte_level = true;
  for (int b = 0; b < 256; ++b) d.pieces.add(std::string(1, (char)b));
  for (const char* s : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    d.added.push_back({.id = d.pieces.size(), .text = s, .special = true});
    d.pieces.add(s);
  }
  d.flags.assign(d.pieces.size(), 0);
  std::shared_ptr<const tokens::Tokenizer> t;
  check(tokens::Tokenizer::create(std::move(d), &t) == TERN_OK);
  return t;
}

void use(Source source) {
  Samples s;
  s.source = std::make_shared<Source>(std::move(source));
  check(s.size() > 0);
  for (const Field& f : s.source->fields) {
    std::vector<int64_t> out(f.bytes / 8 + 2, 0x5555555555555555);
    for (int64_t i = 0; i < std::min<int64_t>(s.size(), 50); ++i) {
      write_field(*s.source, f, s.drawn(i * 7), out.data());
      check(out.back() == 0x5555555555555555);
      for (uint64_t t = 0; f.content != Content::array && t < f.bytes / 8; ++t)
        check(out[t] < kTokens && (out[t] >= 0 || (f.content == Content::next && out[t] == kNoLabel)));
    }
  }
}

void train(std::string_view text) {
  BpeTrainer trainer;
  tokens::TokenizerDef d, back;
  check(trainer.add(text) == TERN_OK);
  if (trainer.train(300, 1, {"<|x|>"}, &d) != TERN_OK) return check(text.empty());
  std::string json;
  check(tokens::write_tokenizer_json(d, &json) == TERN_OK && tokens::read_tokenizer_json(json, &back) == TERN_OK);
  std::shared_ptr<const tokens::Tokenizer> t;
  check(tokens::Tokenizer::create(std::move(back), &t) == TERN_OK);
  std::vector<int32_t> ids;
  check(t->encode(text, 0, &ids) == TERN_OK);
  std::string again;
  tokens::DecodeState state;
  for (const int32_t id : ids) t->decode((uint32_t)id, &state, &again);
  check(again == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto t = tokenizer();
  const std::string_view text((const char*)data, size);
  Bytes file;
  NpyArray array;
  if (copy_bytes(data, size, &file) == TERN_OK && read_npy(file, "x.npy", &array) == TERN_OK) {
    Source s;
    if (add_array(s, "x", array.dtype, array.shape, array.data, array.owner) == TERN_OK) use(std::move(s));
  }
  TokenOptions options;
  options.length = 16;
  options.template_name = "chatml";
  for (const bool skips : {false, true}) {
    options.skips = options.pads_last = skips;
    options.separator = skips ? "\n" : nullptr;
    Source records, windows;
    if (read_records(text, "x.jsonl", t, options, &records) == TERN_OK) use(std::move(records));
    if (read_text(text, "x.txt", t, options, &windows) == TERN_OK) use(std::move(windows));
  }
  if (size <= 4096) train(text);
  return 0;
}
