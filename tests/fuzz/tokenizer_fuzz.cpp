// SPDX-License-Identifier: Apache-2.0
// Fuzz target: any bytes as tokenizer.json, or as a stored tokenizer. One that is taken encodes and decodes, and is
// what it was after it has been stored.
#include <cstdlib>
#include <string>

#include "text/detokenizer.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_json.h"

namespace {

using namespace tern::tokens;

void check(bool good) {
  if (!good) std::abort();
}

void use(TokenizerDef def, std::string_view text, bool again) {
  std::string stored;
  store_tokenizer(def, &stored);
  std::shared_ptr<const Tokenizer> t;
  if (Tokenizer::create(std::move(def), &t) != TERN_OK) return;
  std::vector<int32_t> ids;
  for (const uint32_t flags : {0u, (uint32_t)(kAddSpecial | kParseSpecial)})
    if (t->encode(text, flags, &ids) != TERN_OK) ids.clear();
  Detokenizer stream(t, false);
  DecodeState state;
  std::string whole, parts;
  for (const int32_t id : ids) {
    check(id >= 0 && (uint32_t)id < t->size());
    t->decode((uint32_t)id, &state, &whole);
    parts += stream.add((uint32_t)id);
  }
  parts += stream.end();
  check(whole.empty() == parts.empty());
  for (const int32_t id : ids) check(t->find(t->text((uint32_t)id)) < (int64_t)t->size());
  if (!again) return;
  TokenizerDef back;
  check(read_stored_tokenizer(stored, &back) == TERN_OK);
  use(std::move(back), text, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes((const char*)data, size);
  const std::string text =
      std::string(" A word, the 12\n\n<s> e\xcc\x81\xe4\xb8\xad\xff") + std::string(bytes.substr(size / 2, 200));
  TokenizerDef def;
  if (read_stored_tokenizer(bytes, &def) == TERN_OK) use(std::move(def), text, true);
  else if (read_tokenizer_json(bytes, &def) == TERN_OK) use(std::move(def), text, true);
  return 0;
}
