// SPDX-License-Identifier: Apache-2.0
// Unigram: of all ways to cut a piece into pieces of the vocabulary, the one with the largest sum of scores (Viterbi).
#include <cmath>

#include "base/status.h"
#include "text/algorithms.h"
#include "text/unicode.h"

namespace tern::tokens {

constexpr double kUnknownPenalty = 10;  // below the lowest score, as in the reference

tern_status Unigram::build(const TokenizerDef& def, const Vocabulary& vocabulary, const Fallback& fallback) {
  def_ = &def, vocabulary_ = &vocabulary, fallback_ = &fallback;
  std::vector<std::pair<std::string_view, uint32_t>> texts;
  double lowest = INFINITY;
  for (uint32_t id = 0; id < def.pieces.size(); ++id) {
    if (def.flags[id] & (kTokenApart | kTokenUnused)) continue;
    lowest = std::min(lowest, def.scores[id]);
    if (!def.pieces[id].empty()) texts.emplace_back(def.pieces[id], id);
  }
  prefixes_.build(std::move(texts));
  unknown_score_ = lowest - kUnknownPenalty;
  return TERN_OK;
}

tern_status Unigram::encode(std::string_view piece, Scratch& s, Ids* ids) const {
  constexpr uint32_t kNone = UINT32_MAX;
  const uint8_t *const begin = (const uint8_t*)piece.data(), *const end = begin + piece.size();
  const uint32_t size = (uint32_t)piece.size();
  // By where a token ends: the best sum of scores up to there, the token, where it begins.
  s.best.assign((size_t)size + 1, 0);
  s.path_token.assign((size_t)size + 1, kNone);
  s.path_begin.assign((size_t)size + 1, kNone);
  const auto offer = [&](uint32_t from, uint32_t to, uint32_t token, double score) {
    const double sum = s.best[from] + score;
    if (s.path_begin[to] != kNone && !(sum > s.best[to])) return;
    s.best[to] = sum, s.path_token[to] = token, s.path_begin[to] = from;
  };
  for (uint32_t at = 0; at < size;) {
    const uint32_t width = def_->byte_level ? 1 : read_char(begin + at, end).size;
    bool single = false;
    prefixes_.each(begin + at, end, [&](uint32_t id, size_t bytes) {
      offer(at, at + (uint32_t)bytes, id, def_->scores[id]);
      single = single || bytes == width;
    });
    if (!single) {
      if (def_->unknown < 0)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED, "'%.*s' is in no token, and the tokenizer has none for what is unknown",
                         (int)width, (const char*)begin + at);
      offer(at, at + width, (uint32_t)def_->unknown, unknown_score_);
    }
    at += width;
  }
  // Backwards along the best path; neighbouring unknown characters are one.
  std::vector<uint32_t>& ends = s.symbols;
  ends.clear();
  for (uint32_t at = size; at > 0; at = s.path_begin[at]) {
    const bool unknown = (int64_t)s.path_token[at] == def_->unknown;
    const bool joins =
        unknown && def_->fuse_unknown && !ends.empty() && (int64_t)s.path_token[ends.back()] == def_->unknown;
    if (!joins) ends.push_back(at);
  }
  uint32_t from = 0;
  for (size_t i = ends.size(); i-- > 0;) {
    const uint32_t to = ends[i], token = s.path_token[to];
    const std::string_view text = piece.substr(from, to - from);
    from = to;
    if ((int64_t)token != def_->unknown) {
      ids->push_back((int32_t)token);
    } else if (const int32_t id = vocabulary_->find(text); id >= 0) {
      ids->push_back(id);
    } else if (def_->bytes_fall_back && fallback_->complete) {
      for (const char c : text) ids->push_back(fallback_->bytes[(uint8_t)c]);
    } else {
      ids->push_back(def_->unknown);
    }
  }
  return TERN_OK;
}

}  // namespace tern::tokens
