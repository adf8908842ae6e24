// SPDX-License-Identifier: Apache-2.0
#include "case.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <new>

namespace tern::test {

// ---- tensors ----

void Tensor::allocate(unsigned char fill) {
  bytes_ = 0;
  if (encoded_bytes(encoding, dtype, shape, &bytes_) != TERN_OK) bytes_ = 0;
  const size_t total = (size_t)bytes_ + 2 * kGuard;
  auto* p = (unsigned char*)::operator new(total, std::align_val_t(64));
  memory_ = std::shared_ptr<unsigned char>(p, [](unsigned char* q) { ::operator delete(q, std::align_val_t(64)); });
  std::memset(p, 0xA5, total);
  if (bytes_) std::memset(p + kGuard, fill, bytes_);
  present = true;
}

bool Tensor::guards_intact() const {
  if (!memory_) return true;
  for (size_t i = 0; i < kGuard; ++i)
    if (memory_.get()[i] != 0xA5 || memory_.get()[kGuard + bytes_ + i] != 0xA5) return false;
  return true;
}

uint64_t Random::next() {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::uniform() { return (double)(next() >> 11) * 0x1p-53; }

uint64_t hash_text(std::string_view text) {
  uint64_t h = 1469598103934665603u;
  for (char c : text) h = (h ^ (unsigned char)c) * 1099511628211u;
  return h;
}

void fill_random(Tensor& t, Random& random) {
  const int64_t n = t.shape.elements();
  std::vector<float> plain;
  if (t.encoding != Encoding::plain) plain.resize((size_t)n);
  for (int64_t i = 0; i < n; ++i) {
    const double u = random.uniform();
    if (t.encoding != Encoding::plain) plain[(size_t)i] = (float)(t.lo + (t.hi - t.lo) * u);
    else if (is_float(t.dtype)) store_element(t.dtype, t.data(), i, t.lo + (t.hi - t.lo) * u);
    else if (t.dtype == TERN_DTYPE_BOOL) store_integer(t.dtype, t.data(), i, u < 0.5);
    else store_element(t.dtype, t.data(), i, std::floor(t.lo + (t.hi - t.lo + 1) * u));
  }
  if (!plain.empty()) encode(t.encoding, t.dtype, t.shape, plain.data(), t.data());
}

Tensor to_double(const Tensor& t) {
  if (!t.present || !is_float(t.dtype)) return t;
  Tensor d = t;
  d.dtype = TERN_DTYPE_F64;
  d.encoding = Encoding::plain;
  d.allocate();
  for (int64_t i = 0, n = t.shape.elements(); i < n; ++i) d.ref().store(i, t.ref().load(i));
  return d;
}

// ---- the line ----

namespace {

// Content of a tensor: numbers, repeated from the first when there are fewer than elements.
bool parse_content(std::string_view text, Tensor& t) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    words.push_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  const int64_t n = t.shape.elements();
  if (n > 0 && words.empty()) return false;
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view w = words[(size_t)i % words.size()];
    const char* end = w.data() + w.size();
    if (is_float(t.dtype)) {
      double v = 0;
      if (std::from_chars(w.data(), end, v).ptr != end) return false;
      store_element(t.dtype, t.data(), i, v);
    } else if (t.dtype == TERN_DTYPE_U64) {
      uint64_t v = 0;
      if (std::from_chars(w.data(), end, v).ptr != end) return false;
      store_integer(t.dtype, t.data(), i, (int64_t)v);
    } else {
      int64_t v = 0;
      if (std::from_chars(w.data(), end, v).ptr != end) return false;
      store_integer(t.dtype, t.data(), i, v);
    }
  }
  return true;
}

// dtype[dims](@encoding)(:lo..hi | {content})
bool parse_input(std::string_view word, Random& random, Tensor& t) {
  const size_t open = word.find('['), close = word.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos) return false;
  t.dtype = dtype_from_name(std::string(word.substr(0, open)).c_str());
  if (t.dtype == TERN_DTYPE_NONE) return false;
  std::string_view dims = word.substr(open + 1, close - open - 1), rest = word.substr(close + 1);
  while (!dims.empty()) {
    const size_t comma = dims.find(',');
    const std::string_view d = dims.substr(0, comma);
    int64_t v = 0;
    if (std::from_chars(d.data(), d.data() + d.size(), v).ptr != d.data() + d.size() || t.shape.rank == kMaxRank)
      return false;
    t.shape.push(v);
    dims = comma == std::string_view::npos ? std::string_view() : dims.substr(comma + 1);
  }
  if (!rest.empty() && rest[0] == '@') {
    const size_t end = std::min(rest.find(':'), rest.find('{'));
    const std::string_view name = rest.substr(1, end == std::string_view::npos ? end : end - 1);
    uint64_t bytes;
    if (!find_encoding(name, &t.encoding) || encoded_bytes(t.encoding, t.dtype, t.shape, &bytes) != TERN_OK)
      return false;
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  }
  if (is_integer(t.dtype))
    t.lo =
        t.dtype == TERN_DTYPE_U8 || t.dtype == TERN_DTYPE_U16 || t.dtype == TERN_DTYPE_U32 || t.dtype == TERN_DTYPE_U64
            ? 0
            : -9,
    t.hi = 9;
  t.allocate();
  if (!rest.empty() && rest[0] == '{') {
    t.given = true;
    return rest.back() == '}' && t.encoding == Encoding::plain && parse_content(rest.substr(1, rest.size() - 2), t);
  }
  if (!rest.empty()) {
    const size_t dots = rest.find("..");
    if (rest[0] != ':' || dots == std::string_view::npos) return false;
    const std::string_view lo = rest.substr(1, dots - 1), hi = rest.substr(dots + 2);
    if (std::from_chars(lo.data(), lo.data() + lo.size(), t.lo).ptr != lo.data() + lo.size()) return false;
    if (std::from_chars(hi.data(), hi.data() + hi.size(), t.hi).ptr != hi.data() + hi.size()) return false;
  }
  fill_random(t, random);
  return true;
}

// Calls f(word) for the words of a text.
template <class F>
bool each_word(std::string_view text, F f) {
  while (true) {
    const size_t from = text.find_first_not_of(' ');
    if (from == std::string_view::npos) return true;
    text = text.substr(from);
    const size_t to = text.find(' ');
    if (!f(text.substr(0, to))) return false;
    if (to == std::string_view::npos) return true;
    text = text.substr(to);
  }
}

}  // namespace

bool parse_case(const Op& op, const Case& line, ParsedCase* out, std::string* why) {
  ParsedCase c;
  c.op = &op;
  c.line = &line;
  c.num_out = op.num_out < 0 ? 1 : op.num_out;
  Random random{hash_text(std::string(op.name) + "/" + line.name)};
  const bool inputs = each_word(line.inputs, [&](std::string_view word) {
    c.inputs.emplace_back();
    if (word == "-" || parse_input(word, random, c.inputs.back())) return true;
    *why = "cannot read the input '" + std::string(word) + "'";
    return false;
  });
  if (!inputs) return false;
  set_default_attributes(op, &c.attributes);
  const bool attributes = each_word(line.attributes, [&](std::string_view word) {
    const size_t equal = word.find('=');
    const std::string_view name = word.substr(0, equal),
                           value = equal == std::string_view::npos ? std::string_view() : word.substr(equal + 1);
    if (name == "outputs" && op.num_out < 0)
      return std::from_chars(value.data(), value.data() + value.size(), c.num_out).ec == std::errc();
    const tern_status s = set_attribute(op, &c.attributes, name, value);
    if (s == TERN_OK) return true;
    if (s == line.fails) {
      c.refused = s;
      return true;
    }
    *why = thread_error().message;
    return false;
  });
  if (!attributes) return false;
  *out = std::move(c);
  return true;
}

// ---- graphs ----

namespace {

tern_status build_with(const ParsedCase& c, bool constants, CaseGraph* out) {
  CaseGraph g;
  Node n;
  n.op = c.op;
  n.attributes = c.attributes;
  n.name = c.line->name;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Tensor& t = c.inputs[i];
    if (!t.present) {
      n.in.push_back(kNoValue);
    } else if (constants && t.given) {
      n.in.push_back(add_constant(g.graph, t.dtype, t.shape, t.data()));
    } else {
      n.in.push_back(add_input(g.graph, "in" + std::to_string(i), t.dtype, t.shape));
      g.graph.value(n.in.back()).encoding = t.encoding;
      g.feeds.push_back((int)i);
    }
  }
  emit_node(g.graph, std::move(n), c.num_out, &g.graph.outputs);
  const tern_status s = g.graph.status;
  *out = std::move(g);
  return s;
}

}  // namespace

tern_status build_graph(const ParsedCase& c, CaseGraph* out) {
  if (c.refused != TERN_OK) return out->graph.status = c.refused;
  const tern_status s = build_with(c, false, out);
  if (s != TERN_ERR_UNSUPPORTED) return s;
  return build_with(c, true, out);
}

tern_status run_reference(const Graph& g, const std::vector<Tensor>& inputs, std::vector<Tensor>* outputs) {
  std::vector<Tensor> values(g.values.size());
  for (size_t i = 0; i < g.inputs.size(); ++i) values[(size_t)g.inputs[i]] = inputs[i];
  const auto ref = [&](ValueId v) -> RefTensor {
    if (v == kNoValue) return {};
    const Value& value = g.value(v);
    if (value.kind == ValueKind::constant)
      return {value.dtype, value.encoding, value.shape, const_cast<void*>(value.data.bytes)};
    return values[(size_t)v].ref();
  };
  for (const Node& n : g.nodes) {
    std::vector<RefTensor> ins, outs;
    for (ValueId v : n.in) ins.push_back(ref(v));
    for (ValueId v : n.out) {
      Tensor& t = values[(size_t)v];
      t.dtype = g.value(v).dtype;
      t.encoding = g.value(v).encoding;
      t.shape = g.value(v).shape;
      t.allocate();
      outs.push_back(t.ref());
    }
    TERN_TRY(evaluate(n, ins.data(), outs.data()));
  }
  outputs->clear();
  for (ValueId v : g.outputs) {
    if (g.value(v).kind == ValueKind::constant) {
      Tensor t;
      t.dtype = g.value(v).dtype;
      t.shape = g.value(v).shape;
      t.allocate();
      if (t.bytes()) std::memcpy(t.data(), g.value(v).data.bytes, t.bytes());
      outputs->push_back(t);
    } else {
      outputs->push_back(values[(size_t)v]);
    }
  }
  return TERN_OK;
}

Expected expect(const ParsedCase& c, const CaseGraph& g) {
  Expected e;
  if ((e.status = g.graph.status) != TERN_OK) return e;
  std::vector<Tensor> inputs;
  for (int i : g.feeds) inputs.push_back(c.inputs[(size_t)i]);
  e.status = run_reference(g.graph, inputs, &e.outputs);
  return e;
}

std::string compare(const Tensor& got, const Tensor& expected, double tolerance) {
  if (got.dtype != expected.dtype || !(got.shape == expected.shape))
    return std::string("is ") + dtype_name(got.dtype) + to_string(got.shape) + " instead of " +
           dtype_name(expected.dtype) + to_string(expected.shape);
  for (int64_t i = 0, n = expected.shape.elements(); i < n; ++i) {
    if (!is_float(expected.dtype)) {
      const int64_t u = got.ref().load_int(i), v = expected.ref().load_int(i);
      if (u != v)
        return "element " + std::to_string(i) + " is " + std::to_string(u) + " instead of " + std::to_string(v);
      continue;
    }
    const double u = got.ref().load(i), v = expected.ref().load(i);
    if (u == v || (u != u && v != v) || std::fabs(u - v) <= tolerance * std::fmax(1, std::fabs(v))) continue;
    return "element " + std::to_string(i) + " is " + std::to_string(u) + " instead of " + std::to_string(v) +
           ", tolerance " + std::to_string(tolerance);
  }
  return "";
}

void run_all_cases(const char* backend, const RunGraph& run, const std::function<bool(const ParsedCase&)>& skip) {
  for (const Op* op : all_ops()) {
    for (int32_t i = 0; i < op->cases.count; ++i) {
      const Case& line = op->cases.items[i];
      SCOPED_TRACE(std::string(backend) + ": " + op->name + "/" + line.name);
      ParsedCase c;
      std::string why;
      if (!parse_case(*op, line, &c, &why)) {
        ADD_FAILURE() << why;
        continue;
      }
      if (skip && skip(c)) continue;
      CaseGraph g;
      if (build_graph(c, &g) != TERN_OK) continue;  // a refused shape: nothing to run
      const Expected want = expect(c, g);
      std::vector<Tensor> inputs, outputs;
      for (int k : g.feeds) inputs.push_back(c.inputs[(size_t)k]);
      const tern_status s = run(g.graph, inputs, &outputs);
      EXPECT_EQ(s, want.status) << thread_error().message;
      if (s != TERN_OK || want.status != TERN_OK) continue;
      if (outputs.size() != want.outputs.size()) {
        ADD_FAILURE() << outputs.size() << " outputs instead of " << want.outputs.size();
        continue;
      }
      for (size_t k = 0; k < outputs.size(); ++k) {
        EXPECT_EQ(compare(outputs[k], want.outputs[k], line.tolerance), "") << "output " << k;
        EXPECT_TRUE(outputs[k].guards_intact()) << "output " << k;
      }
      for (const Tensor& t : inputs) EXPECT_TRUE(t.guards_intact());
    }
  }
}

}  // namespace tern::test
