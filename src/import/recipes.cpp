// SPDX-License-Identifier: Apache-2.0
#include "import/recipes.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "graph/task_metadata.h"
#include "import/recipes_generated.h"

namespace tern {
namespace {

// ---- numbers of a recipe ----

using Numbers = std::map<std::string, int64_t, std::less<>>;

// "C+4", "3*cells(8,16,32)", "(T-4)/V": integers, names, + - * / and parentheses; cells(8,16) = the cells of grids of
// these strides over the input's H and W. Fails on a name without a number, or a division with a rest.
class Expression {
 public:
  Expression(std::string_view text, const Numbers& numbers) : text_(text), numbers_(numbers) {}
  bool evaluate(int64_t* out) { return sum(out) && at_ == text_.size(); }

 private:
  static constexpr int64_t kMost = int64_t{1} << 40;

  bool take(char c) { return at_ < text_.size() && text_[at_] == c ? ++at_, true : false; }
  bool sum(int64_t* out) {
    if (!product(out)) return false;
    for (;;) {
      int64_t other = 0;
      const bool plus = take('+');
      if (!plus && !take('-')) return true;
      if (!product(&other)) return false;
      *out += plus ? other : -other;
      if (*out > kMost || *out < -kMost) return false;
    }
  }
  bool product(int64_t* out) {
    if (!factor(out)) return false;
    for (;;) {
      int64_t other = 0;
      const bool times = take('*');
      if (!times && !take('/')) return true;
      if (!factor(&other)) return false;
      if (times ? __builtin_mul_overflow(*out, other, out) || *out > kMost || *out < -kMost
                : other == 0 || *out % other != 0)
        return false;
      if (!times) *out /= other;
    }
  }
  bool factor(int64_t* out) {
    if (take('(')) return ++depth_ < 16 && sum(out) && take(')');
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum((unsigned char)text_[at_]) || text_[at_] == '_')) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    if (word.empty()) return false;
    if (word == "cells") return cells(out);
    if (std::isdigit((unsigned char)word[0])) {
      const auto r = std::from_chars(word.data(), word.data() + word.size(), *out);
      return r.ec == std::errc() && r.ptr == word.data() + word.size() && *out <= kMost;
    }
    const auto it = numbers_.find(word);
    return it != numbers_.end() ? *out = it->second, true : false;
  }
  bool cells(int64_t* out) {
    const auto h = numbers_.find("H"), w = numbers_.find("W");
    if (h == numbers_.end() || w == numbers_.end() || !take('(')) return false;
    *out = 0;
    do {
      int64_t stride = 0;
      if (!sum(&stride) || stride < 1) return false;
      *out += ((h->second + stride - 1) / stride) * ((w->second + stride - 1) / stride);
    } while (take(','));
    return take(')');
  }

  std::string_view text_;
  const Numbers& numbers_;
  size_t at_ = 0;
  int depth_ = 0;
};

// A dim against "?", a number, or an expression; a name without a number yet gets the one that fits: "C", "C+4", "4*C",
// "H/4".
bool match_dim(std::string_view pattern, int64_t dim, Numbers* numbers) {
  if (pattern == "?") return true;
  int64_t value = 0;
  if (Expression(pattern, *numbers).evaluate(&value)) return value == dim;
  size_t name_end = 0;
  while (name_end < pattern.size() && std::isalpha((unsigned char)pattern[name_end])) ++name_end;
  const std::string_view name = pattern.substr(0, name_end);
  if (name.empty() || name == "cells" || numbers->count(name)) return false;
  int64_t operand = 0;
  if (name_end < pattern.size()) {
    if (!Expression(pattern.substr(name_end + 1), *numbers).evaluate(&operand)) return false;
    switch (pattern[name_end]) {
      case '+': dim -= operand; break;
      case '-': dim += operand; break;
      case '/': dim *= operand; break;
      case '*':
        if (operand == 0 || dim % operand) return false;
        dim /= operand;
        break;
      default: return false;
    }
  }
  if (dim < 1) return false;
  (*numbers)[std::string(name)] = dim;
  return true;
}

// ---- the text of a recipe ----

struct TensorPattern {
  std::string name;
  DType dtype = TERN_DTYPE_F32;
  bool any_dtype = false;
  std::vector<std::string> dims;
};

// An input that gets a content once and for all.
struct FixedInput {
  TensorPattern pattern;
  std::vector<std::string> values;  // expressions; one stands for all
};

struct Recipe {
  std::string name, about;
  std::vector<TensorPattern> inputs, outputs;
  std::vector<FixedInput> fixed;
  std::vector<std::pair<std::vector<std::string>, std::string>> where;  // one of the keys
  std::vector<std::pair<std::string, std::string>> bind, set;
  std::string task;
  bool other_outputs = false;
  // The more a recipe asks for, the earlier it is tried.
  size_t weight = 0;
};

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

std::vector<std::string> words_of(std::string_view s) {
  std::vector<std::string> out;
  size_t at = 0;
  while (at < s.size()) {
    while (at < s.size() && s[at] == ' ') ++at;
    const size_t begin = at;
    while (at < s.size() && s[at] != ' ') ++at;
    if (at > begin) out.emplace_back(s.substr(begin, at - begin));
  }
  return out;
}

tern_status bad_line(const std::string& recipe, int line, const char* what) {
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recipe %.60s, line %d: %s", recipe.c_str(), line, what);
}

// See recipes/README.md.
tern_status parse_recipe(std::string name, std::string_view text, Recipe* out) {
  Recipe r;
  r.name = std::move(name);
  bool heading = true;  // comments before all else are what it is about
  int number = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trim(text.substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty()) continue;
    if (line[0] == '#') {
      if (heading) r.about += (r.about.empty() ? "" : " ") + std::string(trim(line.substr(1)));
      continue;
    }
    heading = false;
    const size_t colon = line.find(':'), equal = line.find('=');
    const std::vector<std::string> head = words_of(line.substr(0, std::min({colon, equal, line.size()})));
    if (head.empty()) return bad_line(r.name, number, "a key is missing");
    if (head[0] == "input" || head[0] == "output" || head[0] == "fixed") {
      if (colon > equal || colon == std::string_view::npos || head.size() > 2 ||
          (head[0] != "input" && head.size() < 2) || (head[0] == "fixed" && equal == std::string_view::npos))
        return bad_line(r.name, number, "'input: DIMS', 'output NAME: DIMS' or 'fixed NAME: DIMS = VALUES' is needed");
      TensorPattern p;
      if (head.size() == 2) p.name = head[1];
      p.dims = words_of(line.substr(colon + 1, head[0] == "fixed" ? equal - colon - 1 : std::string_view::npos));
      if (!p.dims.empty()) {
        const std::string& type = p.dims[0];
        bool typed = type == "any";
        p.any_dtype = typed;
        for (int d = 1; d <= TERN_DTYPE_BOOL && !typed; ++d)
          if (type == dtype_name((DType)d)) p.dtype = (DType)d, typed = true;
        if (typed) p.dims.erase(p.dims.begin());
      }
      for (const std::string& d : p.dims) r.weight += std::isdigit((unsigned char)d[0]) != 0;
      if (head[0] == "fixed") r.fixed.push_back({std::move(p), words_of(line.substr(equal + 1))});
      else (head[0] == "input" ? r.inputs : r.outputs).push_back(std::move(p));
      continue;
    }
    if (line == "other outputs") {
      r.other_outputs = true;
      continue;
    }
    if (equal == std::string_view::npos) return bad_line(r.name, number, "'KEY = VALUE' is needed");
    const std::string value(trim(line.substr(equal + 1)));
    if (head[0] == "where" || head[0] == "bind") {
      if (head.size() != 2 && (head.size() < 2 || head[0] == "bind"))
        return bad_line(r.name, number, "one key is needed");
      r.weight += head[0] == "where" ? 100 : 50;
      if (head[0] == "bind") r.bind.emplace_back(head[1], value);
      else r.where.emplace_back(std::vector(head.begin() + 1, head.end()), value);
      continue;
    }
    const TaskKey* key = head.size() == 1 ? find_task_key(head[0]) : nullptr;
    if (!key || std::strcmp(key->name, head[0].c_str()) != 0)
      return bad_line(r.name, number, "no key of a task's metadata");
    if (head[0] == "task") r.task = value;
    // Several lines of one key are lines of its value.
    if (!r.set.empty() && r.set.back().first == head[0]) r.set.back().second += "\n" + value;
    else r.set.emplace_back(head[0], value);
  }
  if (r.task.empty()) return bad_line(r.name, number, "'task = ...' is missing");
  *out = std::move(r);
  return TERN_OK;
}

// ---- matching ----

struct Match {
  Numbers numbers;
  std::vector<size_t> fixed;                              // which input of the signature each fixed one is
  std::map<std::string, std::string, std::less<>> names;  // of outputs
};

bool match_tensor(const TensorPattern& p, const Value& v, Numbers* numbers) {
  if ((!p.any_dtype && v.dtype != p.dtype) || (size_t)v.shape.rank != p.dims.size()) return false;
  for (size_t i = 0; i < p.dims.size(); ++i)
    if (!match_dim(p.dims[i], v.shape[(int)i], numbers)) return false;
  return true;
}

// tries: how many are left; a model of thousands of outputs that nearly fit is no model of a recipe.
bool match_outputs(const Recipe& r, const Signature& sig, size_t next, std::vector<char>* used, int64_t* tries,
                   Match* match) {
  if (next == r.outputs.size()) return true;
  for (size_t i = 0; i < sig.graph.outputs.size(); ++i) {
    if ((*used)[i]) continue;
    if (--*tries < 0) return false;
    Match trial = *match;
    if (!match_tensor(r.outputs[next], sig.graph.value(sig.graph.outputs[i]), &trial.numbers)) continue;
    trial.names[r.outputs[next].name] = sig.output_names[i];
    (*used)[i] = 1;
    if (match_outputs(r, sig, next + 1, used, tries, &trial)) return *match = std::move(trial), true;
    (*used)[i] = 0;
  }
  return false;
}

// The integers in a text, in order: "[17, 3]".
std::vector<int64_t> integers_in(const std::string& text) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < text.size() && out.size() < 64;) {
    if (!std::isdigit((unsigned char)text[i])) {
      ++i;
      continue;
    }
    int64_t v = 0;
    const auto r = std::from_chars(text.data() + i, text.data() + text.size(), v);
    if (r.ec == std::errc()) out.push_back(v);
    i = (size_t)(r.ptr - text.data());
  }
  return out;
}

// What "where" may ask for beside the source's metadata: "graph.OPERATOR" is "yes" or "no".
bool is_so(const ModelDef& model, const std::string& key, const std::string& value) {
  if (key.rfind("graph.", 0) == 0) {
    bool has = false;
    for_each_graph(model.signatures[0].graph, [&](const Graph& g) {
      has = has ||
            std::any_of(g.nodes.begin(), g.nodes.end(), [&](const Node& n) { return key.substr(6) == n.op->name; });
    });
    return value == (has ? "yes" : "no");
  }
  const std::string* v = find_metadata(model, key);
  return v && (value == "*" || *v == value);
}

bool match_recipe(const Recipe& r, const ModelDef& model, Match* out) {
  const Signature& sig = model.signatures[0];
  if (sig.graph.inputs.size() != r.inputs.size() + r.fixed.size() || sig.graph.outputs.size() < r.outputs.size() ||
      (sig.graph.outputs.size() != r.outputs.size() && !r.other_outputs))
    return false;
  Match match;
  for (const auto& [keys, value] : r.where)
    if (std::none_of(keys.begin(), keys.end(),
                     [&, &wanted = value](const std::string& key) { return is_so(model, key, wanted); }))
      return false;
  for (const auto& [key, names] : r.bind) {
    const std::string* v = find_metadata(model, key);
    if (!v) return false;
    const std::vector<std::string> list = words_of(names);
    if (list.size() == 2 && list[0] == "count") {  // of the names in a dictionary or list
      const bool lines = v->empty() || (v->front() != '{' && v->front() != '[');
      match.numbers[list[1]] = lines ? 1 + std::count(v->begin(), v->end(), '\n') : (int64_t)python_strings(*v).size();
      continue;
    }
    const std::vector<int64_t> values = integers_in(*v);
    if (values.size() != list.size()) return false;
    for (size_t i = 0; i < list.size(); ++i) match.numbers[list[i]] = values[i];
  }
  // Inputs that are fixed have a name; the others are there in the order of the recipe.
  std::vector<char> taken(sig.graph.inputs.size());
  for (const FixedInput& f : r.fixed) {
    const auto it = std::find_if(sig.graph.inputs.begin(), sig.graph.inputs.end(),
                                 [&](ValueId v) { return sig.graph.value(v).name == f.pattern.name; });
    if (it == sig.graph.inputs.end()) return false;
    match.fixed.push_back((size_t)(it - sig.graph.inputs.begin()));
    taken[match.fixed.back()] = 1;
  }
  size_t next = 0;
  for (size_t i = 0; i < taken.size(); ++i)
    if (!taken[i]) {
      const Value& v = sig.graph.value(sig.graph.inputs[i]);
      if (next >= r.inputs.size() || (!r.inputs[next].name.empty() && r.inputs[next].name != v.name) ||
          !match_tensor(r.inputs[next], v, &match.numbers))
        return false;
      ++next;
    }
  for (size_t i = 0; i < r.fixed.size(); ++i)
    if (!match_tensor(r.fixed[i].pattern, sig.graph.value(sig.graph.inputs[match.fixed[i]]), &match.numbers))
      return false;
  std::vector<char> used(sig.graph.outputs.size());
  int64_t tries = 10'000;
  if (!match_outputs(r, sig, 0, &used, &tries, &match)) return false;
  return *out = std::move(match), true;
}

// Line ends of any system; none at the end.
std::string clean_labels(const std::string& text) {
  std::string s;
  for (char c : text)
    if (c != '\r') s += c;
  while (!s.empty() && s.back() == '\n') s.pop_back();
  return s;
}

// "{boxes}[0:{C+4}]": names of outputs, numbers, and "{onnx.names}": what the source says, a list as lines.
tern_status fill_in(const Recipe& r, const ModelDef& model, const Match& match, const std::string& text,
                    std::string* out) {
  out->clear();
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '{') {
      *out += text[at++];
      continue;
    }
    const size_t end = text.find('}', at);
    const std::string word = text.substr(at + 1, end == std::string::npos ? 0 : end - at - 1);
    int64_t value = 0;
    const auto name = match.names.find(word);
    if (name != match.names.end()) *out += name->second;
    else if (Expression(word, match.numbers).evaluate(&value)) *out += std::to_string(value);
    else if (word.rfind("lines ", 0) == 0) {
      if (const std::string* v = find_metadata(model, word.substr(6))) *out += clean_labels(*v);
    } else if (word.find('.') != std::string::npos) {
      if (const std::string* v = find_metadata(model, word))
        for (const std::string& s : python_strings(*v)) *out += (out->empty() ? "" : "\n") + s;
    } else
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recipe %s: '{%.60s}' is no output and no number", r.name.c_str(),
                       word.c_str());
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return TERN_OK;
}

// Turns the inputs that a recipe fixes into constants.
tern_status fix_inputs(const Recipe& r, const Match& match, ModelDef* model) {
  Signature& sig = model->signatures[0];
  Graph& g = sig.graph;
  std::vector<char> gone(g.inputs.size());
  for (size_t i = 0; i < r.fixed.size(); ++i) {
    const std::vector<std::string>& values = r.fixed[i].values;
    Value& v = g.value(g.inputs[match.fixed[i]]);
    const int64_t n = v.shape.elements();
    if (v.kind != ValueKind::input || n > (1 << 26) || ((int64_t)values.size() != n && values.size() != 1))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recipe %s: %zu values for the input '%.60s', which is %s",
                       r.name.c_str(), values.size(), v.name.c_str(), to_string(v.shape).c_str());
    void* bytes = nullptr;
    v.data = make_data(value_bytes(v), &bytes);
    for (int64_t k = 0; k < n; ++k) {
      int64_t number = 0;
      const std::string& text = values[values.size() == 1 ? 0 : (size_t)k];
      if (!Expression(text, match.numbers).evaluate(&number))
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recipe %s: '%.60s' is no number", r.name.c_str(), text.c_str());
      store_element(v.dtype, bytes, k, (double)number);
    }
    v.kind = ValueKind::constant;
    gone[match.fixed[i]] = 1;
  }
  std::vector<int32_t> moved(g.inputs.size());
  int32_t count = 0;
  for (size_t i = 0; i < gone.size(); ++i) moved[i] = gone[i] ? -1 : count++;
  std::erase_if(sig.symbolic_dims, [&](const SymbolicDim& d) { return moved[(size_t)d.input] < 0; });
  for (SymbolicDim& d : sig.symbolic_dims) d.input = moved[(size_t)d.input];
  size_t at = 0;
  std::erase_if(g.inputs, [&](ValueId) { return gone[at++] != 0; });
  // Symbols that nobody uses any more.
  for (int32_t symbol = (int32_t)sig.symbols.size() - 1; symbol >= 0; --symbol) {
    if (std::any_of(sig.symbolic_dims.begin(), sig.symbolic_dims.end(),
                    [&](const SymbolicDim& d) { return d.symbol == symbol; }))
      continue;
    sig.symbols.erase(sig.symbols.begin() + symbol);
    for (SymbolicDim& d : sig.symbolic_dims) d.symbol -= d.symbol > symbol;
  }
  return TERN_OK;
}

tern_status apply(const Recipe& r, const Match& match, ModelDef* model) {
  TERN_TRY(fix_inputs(r, match, model));
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& [key, text] : r.set) {
    std::string value;
    TERN_TRY(fill_in(r, *model, match, text, &value));
    if (!value.empty() && !find_metadata(*model, key)) list.emplace_back(key, std::move(value));
  }
  list.emplace_back("task.version", "1");
  list.emplace_back("task.recipe", r.name);
  list.emplace_back("task.signature", model->signatures[0].name);
  for (auto& e : list) model->metadata.push_back(std::move(e));
  return TERN_OK;
}

std::string outputs_text(const Signature& sig) {
  std::string s;
  for (size_t i = 0; i < sig.graph.outputs.size(); ++i) {
    const Value& v = sig.graph.value(sig.graph.outputs[i]);
    s += (i ? ", " : "") + sig.output_names[i] + " " + dtype_name(v.dtype) + to_string(v.shape);
  }
  return s;
}

// A task without a recipe: what its one output means is plain for some.
void guess_output(const std::string& task, ModelDef* model) {
  const Signature& sig = model->signatures[0];
  if (sig.graph.outputs.size() != 1) return;
  const char* key = task == "classifier" || task == "text_direction" ? "output.scores"
                    : task == "embedder"                             ? "output.embedding"
                    : task == "text_detector"                        ? "output.mask"
                    : task == "text_recognizer"                      ? "output.text"
                                                                     : nullptr;
  if (task == "segmenter") {
    const Shape& s = sig.graph.value(sig.graph.outputs[0]).shape;
    key = s.rank == 4 && std::min(s[1], s[3]) > 2 ? "output.class_map" : "output.mask";
  }
  if (key) model->metadata.emplace_back(key, sig.output_names[0]);
}

// The labels of a recogniser are its characters. They must be the classes: those alone with the blank, or with a space.
tern_status take_characters(ModelDef* model) {
  TaskMetadata m;
  TERN_TRY(TaskMetadata::read(*model, &m));
  if (m.task() != Task::text_recognizer) return TERN_OK;
  if (m.has("labels")) {
    TERN_TRY(set_task_key(model, "text.characters", m.text("labels")));
    TERN_TRY(set_task_key(model, "labels", ""));
  }
  const OutputColumns c = m.output("output.text");
  if (c.output < 0) return TERN_OK;
  const Signature& sig = model->signatures[(size_t)m.signature()];
  const Shape& s = sig.graph.value(sig.graph.outputs[(size_t)c.output]).shape;
  const int64_t classes = s.rank > 0 ? s[s.rank - 1] : 0, n = (int64_t)m.lines("text.characters").size();
  if (n == 0)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the recogniser's characters are missing: give them with --labels");
  if (m.has("text.space") ? classes == n + 1 + m.choice("text.space") : classes == n + 1 || classes == n + 2)
    return m.has("text.space") ? TERN_OK : set_task_key(model, "text.space", classes == n + 2 ? "yes" : "no");
  return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                   "there are %" PRId64 " characters, but the model has %" PRId64
                   " classes: the blank, the characters and perhaps a space",
                   n, classes);
}

tern_status read_recipes(std::vector<Recipe>* out) {
  for (const auto& [name, text] : kRecipeTexts) {
    Recipe r;
    TERN_TRY(parse_recipe(name, text, &r));
    out->push_back(std::move(r));
  }
  std::stable_sort(out->begin(), out->end(), [](const Recipe& a, const Recipe& b) { return a.weight > b.weight; });
  return TERN_OK;
}

tern_status choose(const ImportOptions& options, ModelDef* model) {
  std::vector<Recipe> recipes;
  TERN_TRY(read_recipes(&recipes));
  if (!options.recipe_text.empty()) {
    Recipe own;
    TERN_TRY(parse_recipe(options.recipe, options.recipe_text, &own));
    recipes.insert(recipes.begin(), std::move(own));
  }
  const std::string& wanted = options.recipe;
  if (!wanted.empty() &&
      std::none_of(recipes.begin(), recipes.end(), [&](const Recipe& r) { return r.name == wanted; })) {
    std::stable_sort(recipes.begin(), recipes.end(), [&](const Recipe& a, const Recipe& b) {
      return name_distance(wanted, a.name) < name_distance(wanted, b.name);
    });
    return TERN_FAIL(
        TERN_ERR_INVALID_ARGUMENT,
        "no recipe '%.60s'; the nearest are %s, %s and %s (tern import --recipes lists all; none: no task)",
        wanted.c_str(), recipes[0].name.c_str(), recipes[1].name.c_str(), recipes[2].name.c_str());
  }
  Match match;
  for (const Recipe& r : recipes) {
    if ((!wanted.empty() && r.name != wanted) || (!options.task.empty() && r.task != options.task)) continue;
    if (match_recipe(r, *model, &match)) return apply(r, match, model);
  }
  if (!wanted.empty())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "recipe '%.60s' does not fit: the model's outputs are %.300s",
                     wanted.c_str(), outputs_text(model->signatures[0]).c_str());
  if (!options.task.empty()) {
    model->metadata.emplace_back("task", options.task);
    guess_output(options.task, model);
  }
  return TERN_OK;
}

}  // namespace

std::span<const RecipeSummary> recipe_summaries() {
  static const std::vector<RecipeSummary> list = [] {
    std::vector<RecipeSummary> all;
    for (const auto& [name, text] : kRecipeTexts) {
      Recipe r;
      if (parse_recipe(name, text, &r) == TERN_OK) all.push_back({r.name, r.task, r.about});
    }
    return all;
  }();
  return list;
}

std::vector<std::string> python_strings(const std::string& text) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char quote = text[i];
    if (quote != '\'' && quote != '"') continue;
    std::string s;
    for (++i; i < text.size() && text[i] != quote; ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      s += text[i] == '\n' ? ' ' : text[i];
    }
    out.push_back(std::move(s));
  }
  return out;
}

tern_status apply_recipe(const ImportOptions& options, ModelDef* model) {
  if (find_metadata(*model, "task")) return TERN_OK;
  if (const std::string labels = clean_labels(options.labels); !labels.empty() && !find_metadata(*model, "labels"))
    model->metadata.emplace_back("labels", labels);
  if (options.recipe != "none") TERN_TRY(choose(options, model));
  for (const auto& [key, value] : options.settings) {
    const TaskKey* known = find_task_key(key);
    if (known && std::strcmp(known->name, "task") != 0 && !find_metadata(*model, "task"))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the model has no task, so '%s' cannot be set: say which with --task",
                       known->name);
    TERN_TRY(set_task_key(model, key, value));
  }
  if (find_metadata(*model, "task")) TERN_TRY(take_characters(model));
  TaskMetadata proof;
  if (find_metadata(*model, "task")) {
    TERN_TRY(TaskMetadata::read(*model, &proof));
    const bool names_outputs = std::any_of(model->metadata.begin(), model->metadata.end(),
                                           [](const auto& e) { return e.first.rfind("output.", 0) == 0; });
    if (!names_outputs)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                       "no recipe for '%s' fits the model, whose outputs are %.300s: say what they mean, as --set "
                       "output.boxes='NAME[0:4]' (tern info --task lists all keys)",
                       proof.text("task").c_str(), outputs_text(model->signatures[0]).c_str());
  }
  return TERN_OK;
}

}  // namespace tern
