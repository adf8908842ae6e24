// SPDX-License-Identifier: Apache-2.0
#include "tern/tokenizer.h"

#include <algorithm>

#include "capi/text.h"
#include "text/detokenizer.h"
#include "text/stop.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_json.h"

using namespace tern;
using namespace tern::capi;
using tokens::Tokenizer;

struct tern_detokenizer {
  std::shared_ptr<const Tokenizer> tokenizer;
  tokens::Detokenizer stream;
  InUse in_use;
  tokens::StopStrings stops;
  std::string last;  // what is lent at the end
};

namespace {

constexpr bool kHere = has_capability(Capability::text);
constexpr const char* kStream = "this detokenizer";

static_assert((int)TERN_TOKEN_SPECIAL == tokens::kTokenSpecial && (int)TERN_TOKEN_ADDED == tokens::kTokenAdded &&
              (int)TERN_TOKEN_BYTE == tokens::kTokenByte && (int)TERN_TOKEN_UNUSED == tokens::kTokenUnused &&
              (int)TERN_TOKEN_UNKNOWN == tokens::kTokenUnknown);
static_assert((int)TERN_ENCODE_ADD_SPECIAL == tokens::kAddSpecial &&
              (int)TERN_ENCODE_PARSE_SPECIAL == tokens::kParseSpecial);
constexpr uint32_t kShownFlags =
    TERN_TOKEN_SPECIAL | TERN_TOKEN_ADDED | TERN_TOKEN_BYTE | TERN_TOKEN_UNUSED | TERN_TOKEN_UNKNOWN;

tern_status check_id(const Tokenizer& t, int32_t id) {
  if (id >= 0 && (uint32_t)id < t.size()) return TERN_OK;
  return TERN_FAIL(TERN_ERR_INDEX, "token %d: the vocabulary has %u", id, t.size());
}

}  // namespace

tern_status tern::capi::make_tokenizer(tokens::TokenizerDef def, tern_tokenizer** tokenizer) {
  auto made = std::make_unique<tern_tokenizer>();
  TERN_TRY(Tokenizer::create(std::move(def), &made->tokenizer));
  *tokenizer = made.release();
  return TERN_OK;
}

extern "C" {

tern_status tern_tokenizer_create(const void* json, size_t bytes, tern_tokenizer** tokenizer) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_tokenizer_create");
    TERN_CHECK_NOT_NULL(json);
    TERN_CHECK_NOT_NULL(tokenizer);
    tokens::TokenizerDef def;
    TERN_TRY(tokens::read_tokenizer_json({static_cast<const char*>(json), bytes}, &def));
    return make_tokenizer(std::move(def), tokenizer);
  });
}

tern_status tern_tokenizer_create_from_model(const tern_model* model, tern_tokenizer** tokenizer) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_tokenizer_create_from_model");
    TERN_CHECK_NOT_NULL(model);
    TERN_CHECK_NOT_NULL(tokenizer);
    const ModelDef& m = to_object(model)->def();
    if (m.tokenizer_bytes == 0)
      return TERN_FAIL(TERN_ERR_NOT_FOUND,
                       "the model carries no tokenizer (tern edit MODEL --tokenizer FILE adds one)");
    tokens::TokenizerDef def;
    TERN_TRY(
        tokens::read_stored_tokenizer({static_cast<const char*>(m.tokenizer.bytes), (size_t)m.tokenizer_bytes}, &def));
    return make_tokenizer(std::move(def), tokenizer);
  });
}

void tern_tokenizer_release(tern_tokenizer* tokenizer) noexcept {
  if (kHere) delete tokenizer;
}

tern_status tern_tokenizer_encode(const tern_tokenizer* tokenizer, const char* text, size_t bytes, uint32_t flags,
                                  int32_t* ids, size_t capacity, size_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_tokenizer_encode");
    TERN_CHECK_NOT_NULL(tokenizer);
    if (bytes) TERN_CHECK_NOT_NULL(text);
    if (capacity) TERN_CHECK_NOT_NULL(ids);
    TERN_CHECK_NOT_NULL(count);
    TERN_TRY(check_flags(flags, TERN_ENCODE_ADD_SPECIAL | TERN_ENCODE_PARSE_SPECIAL, "tern_tokenizer_encode"));
    std::vector<int32_t> found;
    TERN_TRY(tokenizer->tokenizer->encode({text, bytes}, flags, &found));
    std::copy_n(found.begin(), std::min(capacity, found.size()), ids);
    *count = found.size();
    return TERN_OK;
  });
}

tern_status tern_tokenizer_decode(const tern_tokenizer* tokenizer, const int32_t* ids, size_t count, uint32_t flags,
                                  char* text, size_t capacity, size_t* bytes) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_tokenizer_decode");
    TERN_CHECK_NOT_NULL(tokenizer);
    if (count) TERN_CHECK_NOT_NULL(ids);
    if (capacity) TERN_CHECK_NOT_NULL(text);
    TERN_CHECK_NOT_NULL(bytes);
    TERN_TRY(check_flags(flags, TERN_DECODE_SKIP_SPECIAL, "tern_tokenizer_decode"));
    const Tokenizer& t = *tokenizer->tokenizer;
    tokens::DecodeState state;
    std::string found;
    for (size_t i = 0; i < count; ++i) {
      TERN_TRY(check_id(t, ids[i]));
      if (flags & TERN_DECODE_SKIP_SPECIAL && t.def().flags[(size_t)ids[i]] & tokens::kTokenSpecial) continue;
      t.decode((uint32_t)ids[i], &state, &found);
    }
    std::copy_n(found.begin(), std::min(capacity, found.size()), text);
    *bytes = found.size();
    return TERN_OK;
  });
}

int32_t tern_tokenizer_num_tokens(const tern_tokenizer* tokenizer) noexcept {
  return kHere && tokenizer ? (int32_t)tokenizer->tokenizer->size() : -1;
}

tern_status tern_tokenizer_get_token(const tern_tokenizer* tokenizer, int32_t id, tern_token_info* info) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_tokenizer_get_token");
    TERN_CHECK_NOT_NULL(tokenizer);
    TERN_CHECK_NOT_NULL(info);
    const Tokenizer& t = *tokenizer->tokenizer;
    TERN_TRY(check_id(t, id));
    const std::string_view text = t.text((uint32_t)id), piece = t.def().pieces[(uint32_t)id];
    tern_token_info found = TERN_TOKEN_INFO_INIT;
    found.flags = t.def().flags[(size_t)id] & kShownFlags;
    found.text = text.data(), found.text_bytes = text.size();
    found.piece = piece.data(), found.piece_bytes = piece.size();
    if (!t.def().scores.empty()) found.score = t.def().scores[(size_t)id];
    return write_struct(found, info, "tern_token_info");
  });
}

tern_status tern_tokenizer_find_token(const tern_tokenizer* tokenizer, const char* piece, size_t bytes,
                                      int32_t* id) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_tokenizer_find_token");
    TERN_CHECK_NOT_NULL(tokenizer);
    if (bytes) TERN_CHECK_NOT_NULL(piece);
    TERN_CHECK_NOT_NULL(id);
    const int32_t found = tokenizer->tokenizer->find({piece, bytes});
    if (found < 0)
      return TERN_FAIL(TERN_ERR_NOT_FOUND, "the vocabulary has no token '%.*s'", (int)std::min<size_t>(bytes, 100),
                       piece);
    *id = found;
    return TERN_OK;
  });
}

int32_t tern_tokenizer_get_role(const tern_tokenizer* tokenizer, int32_t role) noexcept {
  if (!kHere || !tokenizer) return -1;
  const tokens::TokenizerDef& d = tokenizer->tokenizer->def();
  switch (role) {
    case TERN_TOKEN_ROLE_BEGIN: return d.bos;
    case TERN_TOKEN_ROLE_END: return d.eos;
    case TERN_TOKEN_ROLE_UNKNOWN: return d.unknown;
    case TERN_TOKEN_ROLE_PADDING: return d.pad;
    default: return -1;
  }
}

tern_status tern_detokenizer_create(const tern_tokenizer* tokenizer, uint32_t flags,
                                    tern_detokenizer** detokenizer) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_detokenizer_create");
    TERN_CHECK_NOT_NULL(tokenizer);
    TERN_CHECK_NOT_NULL(detokenizer);
    TERN_TRY(check_flags(flags, TERN_DECODE_SKIP_SPECIAL, "tern_detokenizer_create"));
    const auto& t = tokenizer->tokenizer;
    *detokenizer = new tern_detokenizer{t, tokens::Detokenizer(t, flags & TERN_DECODE_SKIP_SPECIAL), {}, {}, {}};
    return TERN_OK;
  });
}

void tern_detokenizer_release(tern_detokenizer* detokenizer) noexcept {
  if (kHere) delete detokenizer;
}

tern_status tern_detokenizer_add(tern_detokenizer* detokenizer, int32_t id, const char** text, size_t* bytes) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_detokenizer_add");
    TERN_CHECK_NOT_NULL(detokenizer);
    TERN_CHECK_NOT_NULL(text);
    TERN_CHECK_NOT_NULL(bytes);
    Hold hold;
    TERN_TRY(hold.alone(detokenizer->in_use, kStream));
    TERN_TRY(check_id(*detokenizer->tokenizer, id));
    std::string_view found = detokenizer->stream.add((uint32_t)id);
    if (!detokenizer->stops.empty()) found = detokenizer->stops.add(found);
    *text = found.data(), *bytes = found.size();
    return TERN_OK;
  });
}

tern_status tern_detokenizer_set_stops(tern_detokenizer* detokenizer, const char* const* stops,
                                       size_t num_stops) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_detokenizer_set_stops");
    TERN_CHECK_NOT_NULL(detokenizer);
    if (num_stops) TERN_CHECK_NOT_NULL(stops);
    Hold hold;
    TERN_TRY(hold.alone(detokenizer->in_use, kStream));
    using tokens::StopStrings;
    if (num_stops > StopStrings::kMostStrings)
      return TERN_FAIL(TERN_ERR_LIMIT, "%zu strings that end a text, at most %zu are possible", num_stops,
                       StopStrings::kMostStrings);
    std::vector<std::string> list;
    for (size_t i = 0; i < num_stops; ++i) {
      TERN_TRY(check_not_null(stops[i], "a string that ends a text"));
      const size_t bytes = std::strlen(stops[i]);
      if (bytes == 0 || bytes > StopStrings::kMostBytes)
        return TERN_FAIL(TERN_ERR_LIMIT, "string %zu that ends a text has %zu bytes, possible are 1 to %zu", i, bytes,
                         StopStrings::kMostBytes);
      list.emplace_back(stops[i], bytes);
    }
    detokenizer->stops = StopStrings(std::move(list));
    return TERN_OK;
  });
}

int32_t tern_detokenizer_stopped(const tern_detokenizer* detokenizer) noexcept {
  return kHere && detokenizer && detokenizer->stops.stopped();
}

tern_status tern_detokenizer_end(tern_detokenizer* detokenizer, const char** text, size_t* bytes) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_detokenizer_end");
    TERN_CHECK_NOT_NULL(detokenizer);
    TERN_CHECK_NOT_NULL(text);
    TERN_CHECK_NOT_NULL(bytes);
    Hold hold;
    TERN_TRY(hold.alone(detokenizer->in_use, kStream));
    std::string_view found = detokenizer->stream.end();
    if (!detokenizer->stops.empty()) {
      detokenizer->last = detokenizer->stops.add(found);
      const bool stopped = detokenizer->stops.stopped();
      const std::string_view held = detokenizer->stops.end();
      if (!stopped) detokenizer->last.append(held);
      found = detokenizer->last;
    }
    *text = found.data(), *bytes = found.size();
    return TERN_OK;
  });
}
}
