// SPDX-License-Identifier: Apache-2.0
#include "import/onnx_prepare.h"

#include <google/protobuf/io/coded_stream.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace tern {
namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

std::string shown(const std::string& name) { return name.substr(0, 80); }

template <class F>
void for_each_subgraph(onnx::NodeProto& node, F&& f) {
  for (onnx::AttributeProto& a : *node.mutable_attribute()) {
    if (a.has_g()) f(*a.mutable_g());
    for (onnx::GraphProto& g : *a.mutable_graphs()) f(g);
  }
}

std::vector<onnx::NodeProto*> take_out(Nodes* nodes) {
  std::vector<onnx::NodeProto*> taken((size_t)nodes->size());
  if (!taken.empty()) nodes->ExtractSubrange(0, nodes->size(), taken.data());
  return taken;
}

// ---- functions ----

// Calls take(bytes) for each entry of a field that the schema at hand does not know yet.
template <class F>
bool for_each_unknown(const std::string& fields, uint32_t number, F&& take) {
  google::protobuf::io::CodedInputStream in((const uint8_t*)fields.data(), (int)fields.size());
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t skipped;
    uint32_t length;
    std::string bytes;
    switch (tag & 7) {
      case 0:
        if (!in.ReadVarint64(&skipped)) return false;
        break;
      case 1:
        if (!in.Skip(8)) return false;
        break;
      case 5:
        if (!in.Skip(4)) return false;
        break;
      case 2:
        if (!in.ReadVarint32(&length) || length > fields.size() || !in.ReadString(&bytes, (int)length)) return false;
        if (tag >> 3 == number && !take(bytes)) return false;
        break;
      default: return false;
    }
  }
  return true;
}

std::string unknown_text(const std::string& fields, uint32_t number) {
  std::string text;
  for_each_unknown(fields, number, [&](const std::string& bytes) { return text = bytes, true; });
  return text;
}

constexpr uint32_t kNodeOverload = 8, kFunctionOverload = 13, kFunctionDefaults = 11;
constexpr int kMaxCallDepth = 32;
// Of all bodies together: functions that call each other double at every step.
constexpr int64_t kMaxInlinedNodes = 200000, kMaxInlinedBytes = 256 << 20;

std::string own_name(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

struct Function {
  const onnx::FunctionProto* proto;
  std::map<std::string, onnx::AttributeProto> defaults;
  int64_t version = 0;  // of the standard operators; 0 = the model's
  int64_t bytes = 0;
};

struct Inliner {
  std::map<std::string, Function> functions;  // by domain, name and overload
  NodeVersions& versions;
  int64_t calls = 0, nodes = 0, bytes = 0;

  static std::string key(const std::string& domain, const std::string& name, const std::string& overload) {
    return own_name(domain) + '\n' + name + '\n' + overload;
  }

  tern_status add(const onnx::FunctionProto& f) {
    Function own{&f, {}, 0, (int64_t)f.ByteSizeLong()};
    const bool good = for_each_unknown(f.unknown_fields(), kFunctionDefaults, [&](const std::string& bytes) {
      onnx::AttributeProto a;
      if (!a.ParseFromString(bytes)) return false;
      own.defaults[a.name()] = a;
      return true;
    });
    if (!good) return TERN_FAIL(TERN_ERR_CORRUPT, "function '%s' is damaged", shown(f.name()).c_str());
    for (const onnx::OperatorSetIdProto& o : f.opset_import())
      if (own_name(o.domain()).empty()) own.version = o.version();
    if (!functions
             .emplace(key(f.domain(), f.name(), unknown_text(f.unknown_fields(), kFunctionOverload)), std::move(own))
             .second)
      return TERN_FAIL(TERN_ERR_CORRUPT, "function '%s' is given twice", shown(f.name()).c_str());
    return TERN_OK;
  }

  const Function* find(const onnx::NodeProto& node) const {
    const auto it =
        functions.find(key(node.domain(), node.op_type(), unknown_text(node.unknown_fields(), kNodeOverload)));
    return it == functions.end() ? nullptr : &it->second;
  }

  tern_status expand(Nodes* list, int depth);
  tern_status expand_subgraphs(onnx::NodeProto& node, int depth) {
    tern_status s = TERN_OK;
    for_each_subgraph(node, [&](onnx::GraphProto& g) { s = s ? s : expand(g.mutable_node(), depth); });
    return s;
  }
  tern_status call(const onnx::NodeProto& node, const Function& f, Nodes* out);
};

// A function's body under the names and attributes of one call.
struct Instance {
  const onnx::NodeProto& node;
  const Function& f;
  std::string prefix;
  NodeVersions& versions;
  int64_t& bytes;
  std::map<std::string, std::string> names{};

  std::string name(const std::string& inner) const {
    if (inner.empty()) return inner;
    const auto it = names.find(inner);
    return it != names.end() ? it->second : prefix + inner;
  }
  template <class Strings>
  void rename_all(Strings* strings) const {
    for (std::string& s : *strings) s = name(s);
  }
  void rename_graph(onnx::GraphProto& g) {
    for (auto* infos : {g.mutable_input(), g.mutable_output(), g.mutable_value_info()})
      for (onnx::ValueInfoProto& v : *infos) v.set_name(name(v.name()));
    for (onnx::TensorProto& t : *g.mutable_initializer()) t.set_name(name(t.name()));
    for (onnx::NodeProto& n : *g.mutable_node()) rewrite(n);
  }
  void rewrite(onnx::NodeProto& n) {
    if (!n.name().empty()) n.set_name(prefix + n.name());
    rename_all(n.mutable_input());
    rename_all(n.mutable_output());
    if (f.version) versions[&n] = f.version;
    google::protobuf::RepeatedPtrField<onnx::AttributeProto> kept;
    for (onnx::AttributeProto& a : *n.mutable_attribute()) {
      if (a.ref_attr_name().empty()) {
        kept.Add()->Swap(&a);
        continue;
      }
      const onnx::AttributeProto* given = nullptr;
      for (const onnx::AttributeProto& outer : node.attribute())
        if (outer.name() == a.ref_attr_name()) given = &outer;
      const auto it = f.defaults.find(a.ref_attr_name());
      if (!given && it != f.defaults.end()) given = &it->second;
      if (!given) continue;  // left out by the caller: the operator's default
      if ((bytes += (int64_t)given->ByteSizeLong()) > kMaxInlinedBytes) continue;  // the call fails
      onnx::AttributeProto* own = kept.Add();
      *own = *given;
      own->set_name(a.name());
    }
    n.mutable_attribute()->Swap(&kept);
    for_each_subgraph(n, [&](onnx::GraphProto& g) { rename_graph(g); });
  }
};

tern_status Inliner::call(const onnx::NodeProto& node, const Function& f, Nodes* out) {
  const onnx::FunctionProto& proto = *f.proto;
  if (node.input_size() > proto.input_size() || node.output_size() > proto.output_size())
    return TERN_FAIL(TERN_ERR_CORRUPT, "'%s' calls the function '%s' with %d inputs and %d outputs, it has %d and %d",
                     shown(node.name()).c_str(), shown(proto.name()).c_str(), node.input_size(), node.output_size(),
                     proto.input_size(), proto.output_size());
  const auto too_much = [&] {
    return TERN_FAIL(TERN_ERR_LIMIT, "the model's functions stand for more than %" PRId64 " nodes or %" PRId64 " bytes",
                     kMaxInlinedNodes, kMaxInlinedBytes);
  };
  nodes += proto.node_size() + proto.output_size();
  bytes += f.bytes;
  if (nodes > kMaxInlinedNodes || bytes > kMaxInlinedBytes) return too_much();
  Instance instance{
      node, f, (node.name().empty() ? proto.name() : node.name()).substr(0, 80) + "/" + std::to_string(calls++) + "/",
      versions, bytes};
  for (int i = 0; i < proto.input_size(); ++i)
    instance.names[proto.input(i)] = i < node.input_size() ? node.input(i) : "";
  std::vector<std::pair<std::string, std::string>> passed;  // outputs that are inputs, or outputs twice
  for (int i = 0; i < proto.output_size(); ++i) {
    const std::string actual = i < node.output_size() ? node.output(i) : "";
    if (actual.empty()) continue;
    const auto [it, is_new] = instance.names.emplace(proto.output(i), actual);
    if (!is_new) passed.emplace_back(it->second, actual);
  }
  for (const onnx::NodeProto& inner : proto.node()) {
    *out->Add() = inner;
    instance.rewrite(*out->Mutable(out->size() - 1));
  }
  for (const auto& [from, to] : passed) {
    onnx::NodeProto* copy = out->Add();
    copy->set_op_type("Identity");
    copy->add_input(from);
    copy->add_output(to);
  }
  return bytes > kMaxInlinedBytes ? too_much() : TERN_OK;
}

tern_status Inliner::expand(Nodes* list, int depth) {
  for (onnx::NodeProto& node : *list) TERN_TRY(expand_subgraphs(node, depth));
  bool any = false;
  for (const onnx::NodeProto& node : *list) any = any || find(node);
  if (!any) return TERN_OK;
  if (depth == kMaxCallDepth)
    return TERN_FAIL(TERN_ERR_LIMIT, "the model's functions call each other more than %d deep, as '%s' does",
                     kMaxCallDepth, shown(list->Get(0).op_type()).c_str());
  tern_status s = TERN_OK;
  for (onnx::NodeProto* node : take_out(list)) {
    const Function* f = s == TERN_OK ? find(*node) : nullptr;
    if (!f) {
      list->AddAllocated(node);
      continue;
    }
    Nodes body;
    s = call(*node, *f, &body);
    if (s == TERN_OK) s = expand(&body, depth + 1);
    for (onnx::NodeProto* n : take_out(&body)) list->AddAllocated(n);
    versions.erase(node);
    delete node;
  }
  return s;
}

// ---- order ----

// Sorts the graph; the names that it reads from the graphs around it come out.
tern_status sort_graph(onnx::GraphProto* graph, std::set<std::string>* outer) {
  const int n = graph->node_size();
  std::map<std::string, int> producer;
  std::set<std::string> given;
  for (const onnx::ValueInfoProto& v : graph->input()) given.insert(v.name());
  for (const onnx::TensorProto& t : graph->initializer()) given.insert(t.name());
  for (int i = 0; i < n; ++i)
    for (const std::string& name : graph->node(i).output())
      if (!name.empty()) producer.emplace(name, i);
  std::vector<std::vector<int>> needs((size_t)n);
  bool sorted = true;
  const auto read = [&](const std::string& name, int reader) {
    if (name.empty() || given.count(name)) return;
    const auto it = producer.find(name);
    if (it == producer.end()) {
      outer->insert(name);
    } else if (reader < n) {
      needs[(size_t)reader].push_back(it->second);
      sorted = sorted && it->second < reader;
    }
  };
  for (int i = 0; i < n; ++i) {
    for (const std::string& name : graph->node(i).input()) read(name, i);
    std::set<std::string> inner;
    tern_status s = TERN_OK;
    for_each_subgraph(*graph->mutable_node(i), [&](onnx::GraphProto& g) { s = s ? s : sort_graph(&g, &inner); });
    TERN_TRY(s);
    for (const std::string& name : inner) read(name, i);
  }
  for (const onnx::ValueInfoProto& v : graph->output()) read(v.name(), n);
  if (sorted) return TERN_OK;
  // Depth first, in the order of the file: what a node needs comes right before it, unless it came already.
  enum : uint8_t { untouched, open, done };
  std::vector<uint8_t> state((size_t)n, untouched);
  std::vector<std::pair<int, size_t>> stack;  // node, how many of its needs were looked at
  std::vector<int> order;
  for (int first = 0; first < n; ++first) {
    if (state[(size_t)first] == untouched) stack.emplace_back(first, 0), state[(size_t)first] = open;
    while (!stack.empty()) {
      auto& [node, at] = stack.back();
      if (at == needs[(size_t)node].size()) {
        state[(size_t)node] = done;
        order.push_back(node);
        stack.pop_back();
        continue;
      }
      const int next = needs[(size_t)node][at++];
      if (state[(size_t)next] == open) {
        const onnx::NodeProto& own = graph->node(next);
        return TERN_FAIL(TERN_ERR_CORRUPT,
                         "the nodes form a cycle: %s '%s' reads, directly or through others, what it produces ('%s')",
                         shown(own.op_type()).c_str(), shown(own.name()).c_str(),
                         own.output_size() ? shown(own.output(0)).c_str() : "");
      }
      if (state[(size_t)next] == untouched) stack.emplace_back(next, 0), state[(size_t)next] = open;
    }
  }
  const std::vector<onnx::NodeProto*> nodes = take_out(graph->mutable_node());
  for (int i : order) graph->mutable_node()->AddAllocated(nodes[(size_t)i]);
  return TERN_OK;
}

}  // namespace

tern_status inline_functions(onnx::ModelProto* model, NodeVersions* versions) {
  if (model->functions_size() == 0) return TERN_OK;
  Inliner inliner{{}, *versions};
  for (const onnx::FunctionProto& f : model->functions()) TERN_TRY(inliner.add(f));
  return inliner.expand(model->mutable_graph()->mutable_node(), 0);
}

tern_status sort_nodes(onnx::GraphProto* graph) {
  std::set<std::string> outer;
  return sort_graph(graph, &outer);
}

}  // namespace tern
