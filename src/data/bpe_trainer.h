// SPDX-License-Identifier: Apache-2.0
// Makes a tokenizer of texts: byte-level BPE, cut by GPT-2's rule. Ids: special tokens, the 256 bytes in the order of
// GPT-2's alphabet, then one token for each merge. Of pairs that are equally frequent the one with the smaller ids is
// merged first, so that the result depends on nothing but the texts; it is that of Hugging Face's BpeTrainer.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace tern::data {

class BpeTrainer {
 public:
  BpeTrainer();
  ~BpeTrainer();

  // Counts the words of a text; several texts may come. Any bytes are taken. Words of more than kMostWord bytes count
  // as words of so many, or the length of one would be the time of all merges.
  // Errors: TERN_ERR_LIMIT (more than 2^31 different words).
  static constexpr size_t kMostWord = 512;
  tern_status add(std::string_view text);

  // num_tokens  special tokens and bytes included; fewer come of it where no pair is left that is there min_count times
  // Errors  TERN_ERR_INVALID_ARGUMENT  num_tokens out of range; a special token that is empty, no UTF-8, a single byte,
  //                                    too long or there twice; no text
  tern_status train(int64_t num_tokens, int64_t min_count, const std::vector<std::string>& special,
                    tokens::TokenizerDef* out);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace tern::data
