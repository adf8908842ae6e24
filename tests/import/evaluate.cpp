// SPDX-License-Identifier: Apache-2.0
#include "evaluate.h"

#include <cmath>
#include <cstring>

#include "ops/data_sizes.h"
#include "passes/specialize.h"

namespace tern::test {

TensorData make_tensor(DType dtype, const Shape& shape) {
  TensorData t;
  t.dtype = dtype;
  t.shape = shape;
  void* p = nullptr;
  t.data = make_data(t.bytes(), &p);
  return t;
}

namespace {

TensorData copy_of(const TensorData& t) {
  TensorData r = make_tensor(t.dtype, t.shape);
  std::memcpy(const_cast<void*>(r.data.bytes), t.data.bytes, (size_t)t.bytes());
  return r;
}

tern_status run_if(const ModelDef& model, const Node& n, const std::vector<TensorData>& in,
                   std::vector<TensorData>* out) {
  const Graph& branch = n.subgraphs[in[0].load(0) != 0 ? 0 : 1];
  return evaluate_graph(model, branch, {in.begin() + 1, in.end()}, out);
}

tern_status run_loop(const ModelDef& model, const Node& n, const std::vector<TensorData>& in,
                     std::vector<TensorData>* out) {
  int64_t carried = 0;
  std::memcpy(&carried, n.attributes.bytes, sizeof carried);
  const int64_t most = in[0].data ? in[0].load_int(0) : INT64_MAX;
  bool go = !in[1].data || in[1].load(0) != 0;
  std::vector<TensorData> state(in.begin() + 2, in.begin() + 2 + carried), captures(in.begin() + 2 + carried, in.end());
  std::vector<std::vector<TensorData>> scans(n.out.size() - (size_t)carried);
  for (int64_t i = 0; go && i < most; ++i) {
    if (i > 100000) return TERN_FAIL(TERN_ERR_LIMIT, "loop without end");
    TensorData iteration = make_tensor(TERN_DTYPE_I64, Shape{}), condition = make_tensor(TERN_DTYPE_BOOL, Shape{});
    store_integer(TERN_DTYPE_I64, const_cast<void*>(iteration.data.bytes), 0, i);
    store_element(TERN_DTYPE_BOOL, const_cast<void*>(condition.data.bytes), 0, go);
    std::vector<TensorData> inner{iteration, condition}, results;
    inner.insert(inner.end(), state.begin(), state.end());
    inner.insert(inner.end(), captures.begin(), captures.end());
    TERN_TRY(evaluate_graph(model, n.subgraphs[0], inner, &results));
    go = results[0].load(0) != 0;
    for (int64_t k = 0; k < carried; ++k) state[(size_t)k] = results[(size_t)(1 + k)];
    for (size_t k = 0; k < scans.size(); ++k) scans[k].push_back(results[1 + (size_t)carried + k]);
  }
  out->assign(state.begin(), state.end());
  for (const auto& parts : scans) {
    if (parts.empty()) return TERN_FAIL(TERN_ERR_UNSUPPORTED, "a loop that never runs");
    Shape s{(int64_t)parts.size()};
    for (int64_t d : parts[0].shape) s.push(d);
    TensorData t = make_tensor(parts[0].dtype, s);
    char* at = (char*)const_cast<void*>(t.data.bytes);
    for (const TensorData& p : parts) std::memcpy(at, p.data.bytes, (size_t)p.bytes()), at += p.bytes();
    out->push_back(std::move(t));
  }
  return TERN_OK;
}

}  // namespace

tern_status evaluate_graph(const ModelDef& model, const Graph& g, const std::vector<TensorData>& inputs,
                           std::vector<TensorData>* outputs) {
  std::vector<TensorData> values(g.values.size());
  if (inputs.size() != g.inputs.size())
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%zu inputs instead of %zu", inputs.size(), g.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = g.value(g.inputs[i]);
    if (inputs[i].data && (inputs[i].dtype != v.dtype || !(inputs[i].shape == v.shape)))
      return TERN_FAIL(TERN_ERR_SHAPE, "input %zu is %s%s instead of %s%s", i, dtype_name(inputs[i].dtype),
                       to_string(inputs[i].shape).c_str(), dtype_name(v.dtype), to_string(v.shape).c_str());
    values[(size_t)g.inputs[i]] = inputs[i];
  }
  for (size_t i = 0; i < g.values.size(); ++i) {
    const Value& v = g.values[i];
    TensorData& t = values[i];
    if (v.kind == ValueKind::constant || v.kind == ValueKind::parameter) {
      t.dtype = v.dtype;
      t.shape = v.shape;
      t.data = v.kind == ValueKind::constant ? v.data : model.parameters[(size_t)v.index].data;
    }
  }
  std::vector<int> readers(g.values.size());
  for (const Node& n : g.nodes)
    for (ValueId v : n.in)
      if (v != kNoValue) ++readers[(size_t)v];
  for (ValueId v : g.outputs) ++readers[(size_t)v];
  for (const Node& n : g.nodes) {
    if (n.op->flags & kControl) {
      std::vector<TensorData> in, out;
      for (ValueId v : n.in) in.push_back(v == kNoValue ? TensorData{} : values[(size_t)v]);
      TERN_TRY(std::strcmp(n.op->name, "if") == 0 ? run_if(model, n, in, &out) : run_loop(model, n, in, &out));
      for (size_t i = 0; i < n.out.size(); ++i) values[(size_t)n.out[i]] = copy_of(out[i]);
    } else {
      std::vector<RefTensor> in(n.in.size()), out(n.out.size());
      for (size_t i = 0; i < n.in.size(); ++i) {
        if (n.in[i] == kNoValue) continue;
        const TensorData& t = values[(size_t)n.in[i]];
        in[i] = {t.dtype, g.value(n.in[i]).encoding, t.shape, const_cast<void*>(t.data.bytes)};
      }
      for (size_t i = 0; i < n.out.size(); ++i) {
        const Value& v = g.value(n.out[i]);
        values[(size_t)n.out[i]] = make_tensor(v.dtype, v.shape);
        out[i] = {v.dtype, Encoding::plain, v.shape, const_cast<void*>(values[(size_t)n.out[i]].data.bytes)};
      }
      TERN_TRY(evaluate(n, in.data(), out.data()));
    }
    for (ValueId v : n.in)
      if (v != kNoValue && --readers[(size_t)v] == 0 && g.value(v).kind == ValueKind::node) values[(size_t)v] = {};
  }
  outputs->clear();
  for (ValueId v : g.outputs) outputs->push_back(values[(size_t)v]);
  return TERN_OK;
}

namespace {

// A loop between two stages. operands: as the node has them; without data where absent.
tern_status run_growing_loop(const ModelDef& model, const Node& n, const std::vector<TensorData>& operands,
                             std::vector<TensorData>* results) {
  const size_t carried = (size_t)n.attrs<LoopAttrs>().num_carried;
  const auto given = [&](size_t i) { return i < operands.size() && operands[i].data; };
  const int64_t most = given(0) ? operands[0].load_int(0) : INT64_MAX;
  bool go = !given(1) || operands[1].load(0) != 0;
  std::vector<TensorData> inner(operands);
  inner.resize(n.subgraphs[0].inputs.size());
  std::vector<std::vector<TensorData>> rows(n.out.size() - carried);
  for (int64_t i = 0; go && i < most; ++i) {
    if (i > 100000) return TERN_FAIL(TERN_ERR_LIMIT, "loop without end");
    inner[0] = make_tensor(TERN_DTYPE_I64, Shape{});
    inner[1] = make_tensor(TERN_DTYPE_BOOL, Shape{});
    store_integer(TERN_DTYPE_I64, const_cast<void*>(inner[0].data.bytes), 0, i);
    store_element(TERN_DTYPE_BOOL, const_cast<void*>(inner[1].data.bytes), 0, go);
    std::vector<TensorData> out;
    TERN_TRY(run_graph(model, n.subgraphs[0], inner, &out));
    go = out[0].load(0) != 0;
    for (size_t k = 0; k < carried; ++k) inner[2 + k] = out[1 + k];
    for (size_t k = 0; k < rows.size(); ++k) rows[k].push_back(out[1 + carried + k]);
  }
  results->assign(inner.begin() + 2, inner.begin() + 2 + (ptrdiff_t)carried);
  for (size_t k = 0; k < rows.size(); ++k) {
    const Value& row = n.subgraphs[0].value(n.subgraphs[0].outputs[1 + carried + k]);
    Shape s{(int64_t)rows[k].size()};
    for (const int64_t d : rows[k].empty() ? row.shape : rows[k][0].shape) s.push(d);
    TensorData t = make_tensor(row.dtype, s);
    char* at = (char*)const_cast<void*>(t.data.bytes);
    for (const TensorData& r : rows[k]) {
      if (!(r.shape == rows[k][0].shape)) return TERN_FAIL(TERN_ERR_SHAPE, "rows of a loop differ in shape");
      if (r.bytes()) std::memcpy(at, r.data.bytes, (size_t)r.bytes());
      at += r.bytes();
    }
    results->push_back(std::move(t));
  }
  return TERN_OK;
}

}  // namespace

tern_status run_graph(const ModelDef& model, const Graph& canonical, const std::vector<TensorData>& inputs,
                      std::vector<TensorData>* outputs) {
  const Graph* g = &canonical;
  std::vector<TensorData> in = inputs;
  outputs->assign(canonical.outputs.size(), {});
  std::vector<int32_t> of_whole;  // which output of the whole graph each of g is
  for (size_t k = 0; k < canonical.outputs.size(); ++k) of_whole.push_back((int32_t)k);
  std::vector<Given> given;
  for (const TensorData& t : in) given.push_back({t.shape, nullptr});
  Rest rest;
  for (int stages = 0; stages < 64; ++stages) {
    Graph stage;
    Rest next;
    TERN_TRY(specialize_stage(*g, given, &stage, &next));
    std::vector<TensorData> out;
    TERN_TRY(evaluate_graph(model, stage, in, &out));
    for (size_t k = 0; k < next.made.size(); ++k) (*outputs)[(size_t)of_whole[(size_t)next.made[k]]] = out[k];
    if (next.inputs.empty()) return TERN_OK;
    const auto source = [&](const Source& s) {
      if (s.input >= 0) return in[(size_t)s.input];
      if (s.output >= 0) return out[(size_t)s.output];
      TensorData t;
      t.dtype = s.dtype;
      t.shape = s.shape;
      t.data = s.constant;
      return t;
    };
    std::vector<std::vector<TensorData>> results;
    for (const Rest::Loop& loop : next.loops) {
      std::vector<TensorData> operands;
      for (const Source& s : loop.operands) operands.push_back(source(s));
      results.emplace_back();
      TERN_TRY(run_growing_loop(model, loop.node, operands, &results.back()));
    }
    std::vector<TensorData> following;
    given.clear();
    for (const Rest::Input& i : next.inputs) {
      following.push_back(i.loop >= 0 ? results[(size_t)i.loop][(size_t)i.result] : source(i.source));
      given.push_back({following.back().shape, i.sizes ? following.back().data.bytes : nullptr});
    }
    in = std::move(following);
    std::vector<int32_t> left;
    for (const int32_t k : next.left) left.push_back(of_whole[(size_t)k]);
    of_whole = std::move(left);
    rest = std::move(next);
    g = &rest.graph;
  }
  return TERN_FAIL(TERN_ERR_LIMIT, "too many stages");
}

bool close_to(const TensorData& a, const TensorData& b, double relative, double absolute, std::string* why) {
  if (a.dtype != b.dtype || !(a.shape == b.shape)) {
    *why = std::string(dtype_name(a.dtype)) + to_string(a.shape) + " instead of " + dtype_name(b.dtype) +
           to_string(b.shape);
    return false;
  }
  const bool exact = !is_float(a.dtype);
  for (int64_t i = 0, n = a.elements(); i < n; ++i) {
    if (exact) {
      if (a.load_int(i) == b.load_int(i)) continue;
    } else {
      const double x = a.load(i), y = b.load(i);
      if (x == y || (std::isnan(x) && std::isnan(y)) || std::fabs(x - y) <= absolute + relative * std::fabs(y))
        continue;
    }
    char text[160];
    std::snprintf(text, sizeof text, "element %lld of %lld is %g instead of %g", (long long)i, (long long)n, a.load(i),
                  b.load(i));
    *why = text;
    return false;
  }
  return true;
}

}  // namespace tern::test
