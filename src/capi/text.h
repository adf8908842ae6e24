// SPDX-License-Identifier: Apache-2.0
// The tokenizer's handle: chats and training data use it, too.
#pragma once
#include "capi/handle.h"
#include "tern/tokenizer.h"
#include "text/tokenizer.h"

struct tern_tokenizer {
  std::shared_ptr<const tern::tokens::Tokenizer> tokenizer;
};

namespace tern::capi {
tern_status make_tokenizer(tokens::TokenizerDef def, tern_tokenizer** tokenizer);
}
