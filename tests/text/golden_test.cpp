// SPDX-License-Identifier: Apache-2.0
// Tokenizers against what the reference library made of the same files and texts (make_goldens.py): as they are read,
// and as they come back from the form that models store.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>

#include "base/status.h"
#include "text/json.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_json.h"

namespace tern::tokens {
namespace {

struct Case {
  std::string name, model, parts;
  std::vector<std::string> change, gives;
};

struct Goldens {
  std::vector<std::string> texts;
  std::map<std::string, std::string> models;
  std::vector<Case> cases;
};

Goldens read_goldens() {
  Goldens g;
  std::ifstream in(TERN_SOURCE_DIR "/tests/text/goldens.txt");
  std::string line;
  while (std::getline(in, line)) {
    const size_t space = line.find(' ');
    const std::string kind = line.substr(0, space), rest = line.substr(space + 1);
    if (kind == "text") {
      Json json;
      EXPECT_EQ(json.parse(rest, JsonLimits()), TERN_OK);
      g.texts.emplace_back(json.root().string());
    } else if (kind == "model") {
      g.models[rest.substr(0, rest.find(' '))] = rest.substr(rest.find(' ') + 1);
    } else if (kind == "case") {
      g.cases.push_back({rest, {}, {}, {}, {}});
    } else if (kind == "uses") {
      g.cases.back().model = rest;
    } else if (kind == "change") {
      g.cases.back().change.push_back(rest);
    } else if (kind == "parts") {
      g.cases.back().parts = rest;
    } else {
      for (size_t at = 0, end; at < rest.size(); at = end + 1) {
        end = std::min(rest.find(' ', rest.find(' ', at) + 1), rest.size());
        g.cases.back().gives.push_back(rest.substr(at, end - at));
      }
    }
  }
  return g;
}

std::string json_of(const Goldens& g, const Case& c) {
  std::string model = g.models.at(c.model);
  if (!c.change.empty()) model.replace(model.find(c.change[0]), c.change[0].size(), c.change[1]);
  return c.parts.substr(0, c.parts.size() - 1) + ",\"model\":" + model + "}";
}

struct Hash {
  uint64_t h = 0xcbf29ce484222325u;
  void add(const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) h = (h ^ ((const uint8_t*)data)[i]) * 0x100000001b3u;
  }
};

// Bytes that are no UTF-8 as the reference gives them: U+FFFD for each piece of a character, and for each byte where
// the decoder takes bytes one by one.
std::string lossy(const std::string& bytes, bool each) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    const uint8_t c = (uint8_t)bytes[i];
    const size_t want = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    size_t n = 1;
    const auto fits = [&](size_t k) {
      const uint8_t d = (uint8_t)bytes[i + k];
      if (k == 1 && c == 0xe0 && d < 0xa0) return false;
      if (k == 1 && c == 0xed && d > 0x9f) return false;
      if (k == 1 && c == 0xf0 && d < 0x90) return false;
      if (k == 1 && c == 0xf4 && d > 0x8f) return false;
      return (d & 0xc0) == 0x80;
    };
    while (n < want && i + n < bytes.size() && fits(n)) ++n;
    if (want && n == want) out.append(bytes, i, n);
    else out += "\xef\xbf\xbd", n = each ? 1 : n;
    i += n;
  }
  return out;
}

std::string decode(const Tokenizer& t, const std::vector<int32_t>& ids, bool skip) {
  std::string out;
  DecodeState state;
  for (const int32_t id : ids)
    if (!skip || !(t.def().flags[(size_t)id] & kTokenSpecial)) t.decode((uint32_t)id, &state, &out);
  return lossy(out, t.def().bytes_fall_back);
}

TEST(TokenizerGoldens, AreThoseOfTheReference) {
  const Goldens g = read_goldens();
  ASSERT_GT(g.cases.size(), 30u);
  ASSERT_GT(g.texts.size(), 38u);
  for (const Case& c : g.cases) {
    ASSERT_EQ(c.gives.size(), g.texts.size()) << c.name;
    const std::string json = json_of(g, c);
    TokenizerDef def;
    ASSERT_EQ(read_tokenizer_json(json, &def), TERN_OK) << c.name << ": " << thread_error().message;
    std::string stored, again;
    store_tokenizer(def, &stored);
    TokenizerDef back;
    ASSERT_EQ(read_stored_tokenizer(stored, &back), TERN_OK) << c.name << ": " << thread_error().message;
    store_tokenizer(back, &again);
    EXPECT_EQ(stored, again) << c.name;
    for (TokenizerDef* const d : {&def, &back}) {
      std::shared_ptr<const Tokenizer> t;
      ASSERT_EQ(Tokenizer::create(std::move(*d), &t), TERN_OK) << c.name << ": " << thread_error().message;
      for (size_t i = 0; i < g.texts.size(); ++i) {
        std::vector<int32_t> ids, plain;
        ASSERT_EQ(t->encode(g.texts[i], kAddSpecial | kParseSpecial, &ids), TERN_OK) << thread_error().message;
        ASSERT_EQ(t->encode(g.texts[i], 0, &plain), TERN_OK);
        Hash hash;
        hash.add(ids.data(), ids.size() * 4);
        hash.add(plain.data(), plain.size() * 4);
        for (const bool skip : {false, true}) {
          const std::string text = decode(*t, ids, skip);
          hash.add(text.data(), text.size());
        }
        char found[32], hex[17];
        std::snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash.h);
        std::snprintf(found, sizeof found, "%zu %.7s", ids.size(), hex);
        std::string shown;
        for (const int32_t id : ids) shown += std::to_string(id) + " ";
        EXPECT_EQ(found, c.gives[i]) << c.name << ", text " << i << ": " << g.texts[i] << "\nids " << shown
                                     << "\nplain " << plain.size() << " text '" << decode(*t, ids, false) << "'";
      }
    }
  }
}

}  // namespace
}  // namespace tern::tokens
