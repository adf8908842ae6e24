// SPDX-License-Identifier: Apache-2.0
// Every operator in a file, with inputs and attributes that nobody chose: its shape rule must refuse what it cannot
// take.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "format/checksum.h"
#include "tests/format/support.h"

namespace tern::test {
namespace {

struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }
  int64_t one_of(std::initializer_list<int64_t> list) { return list.begin()[below((int64_t)list.size())]; }
};

std::unique_ptr<fbs::AttributeT> random_attribute(const AttrField& f, Random& r) {
  auto a = std::make_unique<fbs::AttributeT>();
  a->name = f.name;
  a->type = (uint8_t)f.type;
  const auto number = [&]() -> int64_t {
    const double lo = std::max(f.min, -9.2e18), hi = std::min(f.max, 9.2e18);
    switch (r.below(6)) {
      case 0: return (int64_t)lo;
      case 1: return (int64_t)hi;
      default:
        return std::clamp<int64_t>(r.one_of({0, 1, 2, 3, -1, 4, 1 << 20, 1LL << 31, 1LL << 40}), (int64_t)lo,
                                   (int64_t)hi);
    }
  };
  switch (f.type) {
    case AttrType::integer: a->integer = number(); break;
    case AttrType::number: a->number = r.below(3) ? (double)number() : std::clamp(0.5, f.min, f.max); break;
    case AttrType::integers:
      for (int64_t n = r.below(9); n > 0; --n) a->integers.push_back(number());
      break;
    case AttrType::choice: a->choice = f.choices[r.below((int64_t)f.max + 1)]; break;
  }
  return a;
}

// A file with one node of `op`. Outputs are claimed to be what `dtype` and `shape` say, so that mostly the claim is
// refused at last, after the shape rule was run.
File one_node(const Op& op, Random& r) {
  Parts p;
  auto& m = p.model;
  const auto add_operator = [&](const Op& o) {
    m.operators.push_back(std::make_unique<fbs::OperatorT>());
    m.operators.back()->name = o.name;
    m.operators.back()->version = (uint32_t)o.version;
  };
  add_operator(op);
  if (op.num_subgraphs > 0) add_operator(*find_op("stop_gradient"));
  auto g = std::make_unique<fbs::GraphT>();
  auto n = std::make_unique<fbs::NodeT>();
  const auto value = [&](uint8_t kind) -> fbs::ValueT& {
    g->values.push_back(std::make_unique<fbs::ValueT>());
    fbs::ValueT& v = *g->values.back();
    v.kind = kind;
    v.name = std::to_string(g->values.size());
    return v;
  };
  const auto random_shape = [&] {
    std::vector<int64_t> s;
    for (int64_t k = r.one_of({0, 1, 1, 2, 2, 3, 4, 4, 5, 8}); k > 0; --k)
      s.push_back(r.one_of({0, 1, 1, 2, 2, 3, 4, 4, 5, 1 << 20}));
    return s;
  };
  // Often the same shape and type for all, so that more cases get far.
  const std::vector<int64_t> common = random_shape();
  const int64_t common_type = r.one_of({1, 1, 1, 2, 5, 6, 9, 11, 13});
  const int64_t inputs = op.min_in + (op.max_in < 0 ? r.below(4) : r.below(op.max_in - op.min_in + 1));
  for (int64_t i = 0; i < inputs; ++i) {
    if (i >= op.min_in && r.below(4) == 0) {
      n->inputs.push_back(-1);
      continue;
    }
    if (r.below(3) == 0) {  // a constant, whose content is known
      std::vector<int64_t> content;
      for (int64_t k = r.one_of({0, 1, 2, 4, 8}); k > 0; --k)
        content.push_back(r.one_of({0, 1, 2, 3, 4, -1, 100, 1LL << 31, INT64_MAX, INT64_MIN}));
      auto t = std::make_unique<fbs::TensorT>();
      t->dtype = TERN_DTYPE_I64, t->bytes = content.size() * 8, t->offset = p.weights.size();
      if (content.size() != 1 || r.below(2)) t->shape = {(int64_t)content.size()};
      t->checksum = checksum64(content.data(), content.size() * 8);
      p.weights.resize((p.weights.size() + content.size() * 8 + 63) / 64 * 64);
      if (!content.empty()) std::memcpy(p.weights.data() + t->offset, content.data(), content.size() * 8);
      fbs::ValueT& v = value(4);
      v.index = (int32_t)m.constants.size();
      m.constants.push_back(std::move(t));
    } else {
      fbs::ValueT& v = value(0);
      v.dtype = (uint8_t)(r.below(3) ? common_type : 1 + r.below(13));
      v.shape = r.below(3) ? common : random_shape();
      g->inputs.push_back((int32_t)g->values.size() - 1);
    }
    n->inputs.push_back((int32_t)g->values.size() - 1);
  }
  const int64_t outputs = op.num_out < 0 ? 1 + r.below(3) : op.num_out;
  for (int64_t i = 0; i < outputs; ++i) {
    fbs::ValueT& v = value(5);
    v.dtype = (uint8_t)common_type;
    v.shape = r.below(2) ? common : random_shape();
    n->outputs.push_back((int32_t)g->values.size() - 1);
  }
  for (int32_t i = 0; i < op.attributes.count; ++i)
    if (r.below(2)) n->attributes.push_back(random_attribute(op.attributes.fields[i], r));
  g->nodes.push_back(std::move(n));
  m.graphs.push_back(std::move(g));
  // Sub-graphs with as many inputs, passed through by a node that takes every type.
  for (int32_t k = 0; k < op.num_subgraphs; ++k) {
    auto sub = std::make_unique<fbs::GraphT>();
    for (int64_t i = r.below(4); i > 0; --i) {
      auto v = std::make_unique<fbs::ValueT>();
      v->kind = 0, v->dtype = (uint8_t)(r.below(2) ? common_type : int64_t(TERN_DTYPE_BOOL)),
      v->shape = r.below(2) ? common : std::vector<int64_t>{};
      sub->values.push_back(std::move(v));
      sub->inputs.push_back((int32_t)sub->values.size() - 1);
    }
    for (const int32_t i : sub->inputs) {
      if (r.below(2)) continue;
      auto v = std::make_unique<fbs::ValueT>(*sub->values[(size_t)i]);
      v->kind = 5, v->name.clear();
      sub->nodes.push_back(std::make_unique<fbs::NodeT>());
      sub->nodes.back()->op = 1;
      sub->nodes.back()->inputs = {i};
      sub->nodes.back()->outputs = {(int32_t)sub->values.size()};
      sub->outputs.push_back((int32_t)sub->values.size());
      sub->values.push_back(std::move(v));
    }
    m.graphs[0]->nodes[0]->subgraphs.push_back((uint32_t)m.graphs.size());
    m.graphs.push_back(std::move(sub));
  }
  m.signatures.push_back(std::make_unique<fbs::SignatureT>());
  m.signatures[0]->name = "f";
  return put_together(p);
}

TEST(Operators, ArbitraryNodes) {
  const char* asked = std::getenv("TERN_NODES_PER_OPERATOR");
  const int64_t per_operator = asked ? std::atoll(asked) : 300;
  for (const Op* op : all_ops()) {
    Random r{(uint64_t)op->name[0] * 1000 + (uint64_t)op->name[1]};
    int taken = 0;
    for (int64_t i = 0; i < per_operator; ++i) {
      const Loaded l = load(one_node(*op, r));
      taken += l.status == TERN_OK;
      if (HasFailure()) FAIL() << op->name << " case " << i;
    }
    if (asked) std::printf("%s: %d of %d taken\n", op->name, taken, (int)per_operator);
  }
}

}  // namespace
}  // namespace tern::test
