// SPDX-License-Identifier: Apache-2.0
// tern tokenize: a text as tokens, and tokens as a text.
#include <cstdio>
#include <cstdlib>

#include "cli/tokens.h"

namespace tern::cli {
namespace {

constexpr size_t kMostBytes = size_t(1) << 30;

// What "-" stands for. Prints why not.
bool read_input(std::string* out) {
  char block[65536];
  for (size_t n; (n = std::fread(block, 1, sizeof block, stdin)) > 0;) {
    out->append(block, n);
    if (out->size() > kMostBytes) return complain("tokenize: more than %zu bytes", kMostBytes), false;
  }
  return true;
}

int make_tokenizer(const Arguments& a, const std::string& path, Handle<tern_tokenizer>* out) {
  tern_tokenizer* made = nullptr;
  tern_status status;
  if (is_model_file(path)) {
    Handle<tern_context> context;
    Handle<tern_model> model;
    if (const int code = make_context(a, &context)) return code;
    if (const int code = load_model(context.get(), path, 0, &model)) return code;
    status = tern_tokenizer_create_from_model(model.get(), &made);
  } else {
    std::string json;
    if (!read_whole_file(path, kMostBytes, &json)) return bad_file_code(path);
    status = tern_tokenizer_create(json.data(), json.size(), &made);
  }
  out->reset(made);
  return status == TERN_OK ? kDone : report(status, path);
}

std::string flags_text(uint32_t flags) {
  std::string s;
  const std::pair<uint32_t, const char*> kNames[] = {{TERN_TOKEN_SPECIAL, "special"},
                                                     {TERN_TOKEN_BYTE, "byte"},
                                                     {TERN_TOKEN_UNUSED, "unused"},
                                                     {TERN_TOKEN_UNKNOWN, "unknown"}};
  for (const auto& n : kNames)
    if (flags & n.first) s += (s.empty() ? "" : ", ") + std::string(n.second);
  return s;
}

tern_token_info token(const tern_tokenizer* t, int32_t id) {
  tern_token_info info = TERN_TOKEN_INFO_INIT;
  if (tern_tokenizer_get_token(t, id, &info) != TERN_OK) info.text = info.piece = "";
  return info;
}

// Special tokens have their names where a text has them.
std::string shown_text(const tern_token_info& info) {
  return info.text_bytes ? std::string(info.text, info.text_bytes) : std::string(info.piece, info.piece_bytes);
}

int describe(const tern_tokenizer* t, const std::string& path, bool json) {
  const int32_t n = tern_tokenizer_num_tokens(t);
  std::vector<std::pair<int32_t, tern_token_info>> special;
  int32_t unused = 0;
  for (int32_t id = 0; id < n; ++id) {
    const tern_token_info info = token(t, id);
    unused += (info.flags & TERN_TOKEN_UNUSED) != 0;
    if (info.flags & TERN_TOKEN_SPECIAL) special.emplace_back(id, info);
  }
  if (json) {
    Json j;
    j.begin_object().add("file", path).add("tokens", n).add("unused", unused).begin_list("special");
    for (const auto& [id, info] : special) j.begin_object().add("id", id).add("text", shown_text(info)).end();
    j.print();
    return kDone;
  }
  std::printf("%s: %d tokens, %zu special", path.c_str(), n, special.size());
  if (unused) std::printf(", %d not used", unused);
  std::printf("\n");
  for (size_t i = 0; i < special.size() && i < 20; ++i)
    std::printf("%8d  %s\n", special[i].first, json_string(shown_text(special[i].second)).c_str());
  if (special.size() > 20) std::printf("          ... and %zu more: --json lists all\n", special.size() - 20);
  return kDone;
}

int encode(const Arguments& a, const tern_tokenizer* t, const std::string& text) {
  const uint32_t flags =
      (a.has("--bare") ? 0 : TERN_ENCODE_ADD_SPECIAL) | (a.has("--parse-special") ? TERN_ENCODE_PARSE_SPECIAL : 0);
  std::vector<int32_t> ids;
  if (const tern_status s = encode_text(t, text, flags, &ids)) return report(s, "tokenize");
  if (a.has("--json")) {
    Json j(true);
    j.begin_object().add("bytes", (uint64_t)text.size()).add("count", (uint64_t)ids.size()).begin_list("ids");
    for (const int32_t id : ids) j.add(nullptr, id);
    j.end().begin_list("tokens");
    for (const int32_t id : ids) j.add(nullptr, shown_text(token(t, id)));
    j.print();
    return kDone;
  }
  if (a.has("--ids")) {
    for (size_t i = 0; i < ids.size(); ++i) std::printf("%s%d", i ? " " : "", ids[i]);
    std::printf("\n");
    return kDone;
  }
  for (const int32_t id : ids) {
    const tern_token_info info = token(t, id);
    const std::string marks = flags_text(info.flags);
    std::printf("%8d  %s%s%s\n", id, json_string(shown_text(info)).c_str(), marks.empty() ? "" : "  ", marks.c_str());
  }
  std::printf("%zu tokens, %zu bytes\n", ids.size(), text.size());
  return kDone;
}

int decode(const Arguments& a, const tern_tokenizer* t, const std::string& text) {
  std::vector<int32_t> ids;
  if (!read_ids(text, "tokenize", &ids)) return kUsage;
  const uint32_t flags = a.has("--skip-special") ? TERN_DECODE_SKIP_SPECIAL : 0;
  std::string out;
  size_t bytes = 0;
  for (;;) {
    const tern_status s = tern_tokenizer_decode(t, ids.data(), ids.size(), flags, out.data(), out.size(), &bytes);
    if (s != TERN_OK) return report(s, "tokenize");
    const bool all = bytes <= out.size();
    out.resize(bytes);
    if (all) break;
  }
  if (a.has("--json")) {
    Json j(true);
    j.begin_object().add("count", (uint64_t)ids.size()).add("text", out);
    j.print();
    return kDone;
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
  return kDone;
}

int run(const Arguments& a) {
  Handle<tern_tokenizer> tokenizer;
  const auto& words = a.words();
  if (words.size() > 2 && !a.has("--decode"))
    return complain("tokenize: '%s' is one word too many: put the text into quotes", words[2].c_str()), kUsage;
  if (const int code = make_tokenizer(a, words[0], &tokenizer)) return code;
  if (words.size() == 1 && !a.has("--decode")) return describe(tokenizer.get(), words[0], a.has("--json"));
  std::string text;
  for (size_t i = 1; i < words.size(); ++i) text += (i > 1 ? " " : "") + words[i];
  if ((words.size() == 2 && words[1] == "-") || words.size() == 1) {
    text.clear();
    if (!read_input(&text)) return kNoResource;
  }
  return a.has("--decode") ? decode(a, tokenizer.get(), text) : encode(a, tokenizer.get(), text);
}

}  // namespace

const Command& tokenize_command() {
  static const Command command = {
      "tokenize",
      "FILE [TEXT|-]",
      "shows the tokens of a text, or the text of tokens",
      "FILE is a tokenizer.json or a model that carries a tokenizer (tern edit MODEL --tokenizer FILE adds one).\n"
      "TEXT - is what comes from the standard input, to its last byte. Without TEXT it tells about the tokenizer.\n",
      "  tern tokenize tokenizer.json \"Hello, world!\"\n"
      "  tern tokenize model.tern - --ids < book.txt\n"
      "  tern tokenize model.tern --decode 9906 11 1917 0\n"
      "  tern tokenize model.tern \"a b\" --ids --bare | tern tokenize model.tern --decode -\n",
      {{"--ids", nullptr, "print the ids alone, on one line"},
       {"--decode", nullptr, "TEXT is ids, as many words as you like; print their text as it is"},
       {"--bare", nullptr, "no special tokens around the text"},
       {"--parse-special", nullptr, "find special tokens such as <|im_end|> within the text"},
       {"--skip-special", nullptr, "--decode: special tokens give no text"},
       {"--json", nullptr, "for programs"}},
      1,
      -1,
      run};
  return command;
}

}  // namespace tern::cli
