// SPDX-License-Identifier: Apache-2.0
#include "tern/chat.h"

#include <algorithm>

#include "capi/text.h"
#include "text/chat.h"

using namespace tern;
using namespace tern::capi;

struct tern_chat {
  std::unique_ptr<tokens::Chat> chat;
};

namespace {
constexpr bool kHere = has_capability(Capability::text);
}

extern "C" {

tern_status tern_chat_options_init(tern_chat_options* options, size_t size) noexcept {
  const tern_chat_options defaults = TERN_CHAT_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_chat_options");
}

tern_status tern_chat_create(const tern_tokenizer* tokenizer, const char* source, const tern_chat_options* options,
                             tern_chat** chat) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_chat_create");
    TERN_CHECK_NOT_NULL(tokenizer);
    TERN_CHECK_NOT_NULL(chat);
    tern_chat_options o = TERN_CHAT_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_chat_options"));
    TERN_TRY(check_flags(o.flags, TERN_CHAT_NO_THINKING, "tern_chat_options"));
    tokens::ChatOptions own;
    if (o.template_name) own.name = o.template_name;
    if (o.date) own.date = o.date;
    own.no_thinking = (o.flags & TERN_CHAT_NO_THINKING) != 0;
    auto made = std::make_unique<tern_chat>();
    TERN_TRY(tokens::Chat::create(tokenizer->tokenizer, source ? source : "", own, &made->chat));
    *chat = made.release();
    return TERN_OK;
  });
}

void tern_chat_release(tern_chat* chat) noexcept {
  if (kHere) delete chat;
}

const char* tern_chat_template(const tern_chat* chat) noexcept { return kHere && chat ? chat->chat->name() : nullptr; }

tern_status tern_chat_encode(const tern_chat* chat, const tern_chat_message* messages, size_t num_messages,
                             size_t num_done, uint32_t flags, int32_t* ids, size_t capacity, size_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_chat_encode");
    TERN_CHECK_NOT_NULL(chat);
    TERN_CHECK_NOT_NULL(messages);
    if (capacity) TERN_CHECK_NOT_NULL(ids);
    TERN_CHECK_NOT_NULL(count);
    TERN_TRY(check_flags(flags, TERN_CHAT_ANSWER, "tern_chat_encode"));
    constexpr size_t kMost = 1 << 20;
    if (num_messages > kMost)
      return TERN_FAIL(TERN_ERR_LIMIT, "%zu messages, at most %zu are possible", num_messages, kMost);
    std::vector<tokens::ChatMessage> list;
    // The caller's structs may be shorter or longer than ours.
    const char* at = (const char*)messages;
    for (size_t i = 0; i < num_messages; ++i) {
      const auto* given = (const tern_chat_message*)at;
      TERN_TRY(check_input_struct(given, sizeof *given, sizeof *given, "tern_chat_message"));
      if (given->struct_size != messages->struct_size)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the messages have structs of %u and %u bytes: they must be equal",
                         messages->struct_size, given->struct_size);
      TERN_TRY(check_flags(given->flags, 0, "tern_chat_message"));
      TERN_TRY(check_not_null(given->role, "role"));
      if (given->content_bytes) TERN_TRY(check_not_null(given->content, "content"));
      list.push_back({given->role, {given->content, given->content_bytes}});
      at += given->struct_size;
    }
    std::vector<int32_t> found;
    TERN_TRY(chat->chat->encode(list, num_done, (flags & TERN_CHAT_ANSWER) != 0, &found));
    std::copy_n(found.begin(), std::min(capacity, found.size()), ids);
    *count = found.size();
    return TERN_OK;
  });
}

tern_status tern_chat_get_ends(const tern_chat* chat, const int32_t** ids, size_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::text, "tern_chat_get_ends");
    TERN_CHECK_NOT_NULL(chat);
    TERN_CHECK_NOT_NULL(ids);
    TERN_CHECK_NOT_NULL(count);
    *ids = chat->chat->ends().data(), *count = chat->chat->ends().size();
    return TERN_OK;
  });
}
}
