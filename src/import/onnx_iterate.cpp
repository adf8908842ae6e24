// SPDX-License-Identifier: Apache-2.0
// ONNX operators that run a sub-graph once for each slice of their inputs. They become a Loop.
#include "import/onnx.h"

namespace tern {
namespace {

onnx::NodeProto* add_node(onnx::GraphProto* g, const char* type, std::initializer_list<std::string> in,
                          std::initializer_list<std::string> out) {
  onnx::NodeProto* n = g->add_node();
  n->set_op_type(type);
  for (const std::string& s : in) n->add_input(s);
  for (const std::string& s : out) n->add_output(s);
  return n;
}

void set_integer(onnx::NodeProto* n, const char* name, int64_t value) {
  onnx::AttributeProto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::INT);
  a->set_i(value);
}

onnx::GraphProto* set_graph(onnx::NodeProto* n, const char* name) {
  onnx::AttributeProto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::GRAPH);
  return a->mutable_g();
}

// Axis or direction of each scanned input or output; left out: 0.
tern_status read_each(OnnxNode& n, const char* name, int count, std::vector<int64_t>* out) {
  *out = n.integers(name);
  if (out->empty()) out->assign((size_t)count, 0);
  if ((int)out->size() != count)
    return TERN_FAIL(TERN_ERR_CORRUPT, "Scan: '%s' has %zu entries instead of %d", name, out->size(), count);
  return TERN_OK;
}

tern_status scan(OnnxNode& n, const onnx::GraphProto& body, int scanned) {
  Builder& b = n.b;
  const int states = n.num_in() - scanned, results = n.num_out() - states;
  if (scanned < 1 || states < 0 || results < 0 || body.input_size() != n.num_in() || body.output_size() != n.num_out())
    return TERN_FAIL(TERN_ERR_CORRUPT, "Scan: %d inputs and %d outputs do not fit its body, which has %d and %d",
                     n.num_in(), n.num_out(), body.input_size(), body.output_size());
  std::vector<int64_t> in_axes, in_directions, out_axes, out_directions;
  TERN_TRY(read_each(n, "scan_input_axes", scanned, &in_axes));
  TERN_TRY(read_each(n, "scan_input_directions", scanned, &in_directions));
  TERN_TRY(read_each(n, "scan_output_axes", results, &out_axes));
  TERN_TRY(read_each(n, "scan_output_directions", results, &out_directions));
  const std::string own = n.proto.name() + "/" + (n.num_out() ? n.proto.output(0) : "") + "/scan.";

  // How often: the size of the first scanned input.
  onnx::NodeProto count;
  count.set_op_type("Scan");
  count.add_output(own + "count");
  count.add_output(own + "last");
  const ValueId first = n.in(states);
  TERN_TRY(b.status());
  if (first == kNoValue || b.rank(first) < 1) return TERN_FAIL(TERN_ERR_CORRUPT, "Scan lacks an input that it scans");
  int axis = 0;
  TERN_TRY(n.axis(in_axes[0], b.rank(first), &axis));
  const ValueId trips = b.reshape(b.size_of_axes(first, axis, axis + 1), {});
  OnnxNode sizes{n.importer, b, count, n.opset, {}};
  sizes.set(0, trips);
  sizes.set(1, b.sub(trips, b.integer(1)));

  onnx::NodeProto loop;
  loop.set_op_type("Loop");
  loop.set_name(n.proto.name());
  loop.add_input(own + "count");
  loop.add_input("");
  onnx::GraphProto* inner = set_graph(&loop, "body");
  inner->add_input()->set_name(own + "i");
  inner->add_input()->set_name(own + "go");
  for (int i = 0; i < states; ++i) {
    loop.add_input(n.proto.input(i));
    *inner->add_input() = body.input(i);
  }
  add_node(inner, "Identity", {own + "go"}, {own + "on"});
  inner->add_output()->set_name(own + "on");
  for (int i = 0; i < scanned; ++i) {
    const bool backward = in_directions[(size_t)i] != 0;
    const std::string index = backward ? own + "back." + std::to_string(i) : own + "i";
    if (backward) add_node(inner, "Sub", {own + "last", own + "i"}, {index});
    set_integer(add_node(inner, "Gather", {n.proto.input(states + i), index}, {body.input(states + i).name()}), "axis",
                in_axes[(size_t)i]);
  }
  inner->mutable_initializer()->MergeFrom(body.initializer());
  inner->mutable_node()->MergeFrom(body.node());
  inner->mutable_output()->MergeFrom(body.output());
  onnx::NodeProto after;
  for (int i = 0; i < n.num_out(); ++i) {
    const std::string name = own + std::to_string(i);
    loop.add_output(name);
    after.add_input(name);
  }
  TERN_TRY(n.lower(loop));
  OnnxNode got{n.importer, b, after, n.opset, {}};
  for (int i = 0; i < n.num_out(); ++i) {
    ValueId y = got.in(i);
    TERN_TRY(b.status());
    if (y == kNoValue) return TERN_ERR_UNSUPPORTED_OP;  // what the body lacks is counted
    if (i >= states) {
      if (out_directions[(size_t)(i - states)] != 0) y = b.op("reverse", {y}, {{"axes", IntList{0}}});
      TERN_TRY(n.axis(out_axes[(size_t)(i - states)], b.rank(y), &axis));
      std::vector<int64_t> order;
      for (int k = 1; k < b.rank(y); ++k) order.push_back(k);
      order.insert(order.begin() + axis, 0);
      y = b.transpose(y, order);
    }
    n.set(i, y);
  }
  return TERN_OK;
}

// Version 8 has a batch dim, over which its body knows nothing: a Scan over the batch of Scans over the sequence.
tern_status scan_batch(OnnxNode& n, const onnx::GraphProto& body, int scanned) {
  if (n.has(0)) return n.unsupported("sequence lengths");
  onnx::NodeProto outer;
  outer.set_op_type("Scan");
  outer.set_name(n.proto.name());
  onnx::GraphProto* each = set_graph(&outer, "body");
  onnx::NodeProto* inner = each->add_node();
  inner->set_op_type("Scan");
  for (int i = 1; i < n.num_in(); ++i) {
    const std::string name = n.proto.name() + "/one." + std::to_string(i);
    outer.add_input(n.proto.input(i));
    inner->add_input(name);
    each->add_input()->set_name(name);
  }
  for (int i = 0; i < n.num_out(); ++i) {
    const std::string name = n.proto.name() + "/result." + std::to_string(i);
    outer.add_output(n.proto.output(i));
    inner->add_output(name);
    each->add_output()->set_name(name);
  }
  *set_graph(inner, "body") = body;
  set_integer(inner, "num_scan_inputs", scanned);
  if (const onnx::AttributeProto* a = n.attribute("directions")) {
    *inner->add_attribute() = *a;
    inner->mutable_attribute(inner->attribute_size() - 1)->set_name("scan_input_directions");
  }
  set_integer(&outer, "num_scan_inputs", n.num_in() - 1);
  return n.lower(outer, 9);
}

tern_status lower_scan(OnnxNode& n) {
  const onnx::AttributeProto* body = n.attribute("body");
  const int64_t scanned = n.integer("num_scan_inputs", 0);
  if (!body || !body->has_g() || scanned < 1 || scanned > n.num_in())
    return TERN_FAIL(TERN_ERR_CORRUPT, "Scan lacks its body or its inputs");
  return n.opset < 9 ? scan_batch(n, body->g(), (int)scanned) : scan(n, body->g(), (int)scanned);
}

constexpr OnnxOp kOps[] = {{"Scan", lower_scan}};

}  // namespace

std::span<const OnnxOp> onnx_iterate_ops() { return kOps; }

}  // namespace tern
