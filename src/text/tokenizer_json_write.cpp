// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "base/status.h"
#include "text/tokenizer_json.h"

namespace tern::tokens {
namespace {

void add_string(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    char code[8];
    if ((uint8_t)c < 0x20) std::snprintf(code, sizeof code, "\\u%04x", (unsigned)c);
    else std::snprintf(code, sizeof code, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    out->append(code, (uint8_t)c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1);
  }
  out->push_back('"');
}

bool is_plain(const TokenizerDef& d) {
  return d.algorithm == Algorithm::bpe && d.byte_level && !d.by_score && d.unknown < 0 && !d.bytes_fall_back &&
         d.word_prefix.empty() && d.word_suffix.empty() && d.normalizers.empty() && d.decodes.empty() &&
         d.before.empty() && d.after.empty() && d.cuts.size() == 1 && d.cuts[0].kind == Cut::Kind::split &&
         d.cuts[0].pattern == Pattern::gpt2 && d.cuts[0].behavior == Behavior::isolated && !d.cuts[0].invert;
}

}  // namespace

tern_status write_tokenizer_json(const TokenizerDef& d, std::string* out) {
  if (!is_plain(d))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                     "tokenizer.json is only written of byte-level BPE with GPT-2's rule, as it is trained");
  const auto flag = [&](const char* name, bool value) {
    out->append(",\"").append(name).append(value ? "\":true" : "\":false");
  };
  const auto piece = [&](uint32_t id) {
    if (d.flags[id] & kTokenApart) return std::string(d.pieces[id]);
    std::string text;
    to_byte_alphabet(d.pieces[id], &text);
    return text;
  };
  constexpr const char* kByteLevel =
      "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
  out->append("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
  const char* comma = "";
  for (const AddedToken& t : d.added) {
    out->append(comma).append("\n{\"id\":").append(std::to_string(t.id)).append(",\"content\":");
    add_string(t.text, out);
    flag("single_word", t.single_word);
    flag("lstrip", t.strip_left), flag("rstrip", t.strip_right);
    flag("normalized", t.normalized), flag("special", t.special);
    out->push_back('}');
    comma = ",";
  }
  out->append("],\n\"normalizer\":null,\"pre_tokenizer\":").append(kByteLevel);
  out->append(",\n\"post_processor\":null,\"decoder\":").append(kByteLevel);
  out->append(
      ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
      "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false");
  flag("ignore_merges", d.whole_first);
  out->append(",\n\"vocab\":{");
  comma = "";
  for (uint32_t id = 0; id < d.pieces.size(); ++id) {
    if (d.flags[id] & kTokenUnused) continue;
    out->append(comma);
    add_string(piece(id), out);
    out->append(":").append(std::to_string(id));
    comma = ",\n";
  }
  out->append("},\n\"merges\":[");
  comma = "";
  for (const Merge& m : d.merges) {
    out->append(comma);
    add_string(piece(m.left) + " " + piece(m.right), out);
    comma = ",\n";
  }
  out->append("]}}\n");
  return TERN_OK;
}

}  // namespace tern::tokens
