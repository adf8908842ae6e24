// SPDX-License-Identifier: Apache-2.0
#include "cli/tokens.h"

#include <cerrno>
#include <climits>
#include <cstdlib>

namespace tern::cli {

bool read_ids(const std::string& text, const char* what, std::vector<int32_t>* ids) {
  for (const char* p = text.c_str(); *p;) {
    if (*p == ' ' || *p == ',' || *p == '\n' || *p == '\r' || *p == '\t' || *p == '[' || *p == ']') {
      ++p;
      continue;
    }
    char* end = nullptr;
    errno = 0;
    const long long id = std::strtoll(p, &end, 10);
    if (end == p || errno || id < 0 || id > INT_MAX)
      return complain("%s: '%s' is no token id", what, printable(p, 20).c_str()), false;
    ids->push_back((int32_t)id);
    p = end;
  }
  return true;
}

tern_status encode_text(const tern_tokenizer* tokenizer, const std::string& text, uint32_t flags,
                        std::vector<int32_t>* ids) {
  size_t count = 0;
  ids->resize(text.size() + 128);
  for (;;) {
    if (const tern_status s =
            tern_tokenizer_encode(tokenizer, text.data(), text.size(), flags, ids->data(), ids->size(), &count))
      return s;
    const bool all = count <= ids->size();
    ids->resize(count);
    if (all) return TERN_OK;
  }
}

}  // namespace tern::cli
