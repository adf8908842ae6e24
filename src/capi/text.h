// SPDX-License-Identifier: Apache-2.0
// The tokenizer's handle: chats use it, too.
#pragma once
#include "capi/handle.h"
#include "tern/tokenizer.h"
#include "text/tokenizer.h"

struct tern_tokenizer {
  std::shared_ptr<const tern::tokens::Tokenizer> tokenizer;
};
