// SPDX-License-Identifier: Apache-2.0
// Fuzz target: bytes as calls of a graph builder: inputs, parameters, states, any operator, calls of a small model,
// gradients, writes, edits. A call that fails says why, and is as if it had not been. What is finished can be stored
// and read back, and is trained or run where that is small.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "backends/cpu/backend.h"
#include "format/reader.h"
#include "format/writer.h"
#include "tests/fuzz/walk.h"
#include "train/edit.h"
#include "train/graph_builder.h"
#include "train/trainer.h"

namespace {

using namespace tern;

void check(bool good) {
  if (good) return;
  std::fprintf(stderr, "%s\n", thread_error().message);
  std::abort();
}

constexpr uint64_t kMostBytes = 1 << 20;
constexpr size_t kMostNodes = 300;

// The rest of the input; zeros behind its end.
struct Input {
  const uint8_t* at;
  const uint8_t* end;
  bool empty() const { return at == end; }
  uint8_t next() { return at < end ? *at++ : 0; }
  size_t below(size_t n) { return n > 256 ? (size_t)(next() * 256 + next()) % n : n ? next() % n : 0; }
};

Context& context() {
  static const BackendApi* const tables[] = {&cpu::backend()};
  static const Ref<Context> one = [] {
    Context::Options options;
    options.threads.num_threads = 1;
    return Ref<Context>::adopt(new Context(options, tables));
  }();
  return *one;
}

DType some_dtype(Input& in) {
  constexpr DType kTypes[] = {TERN_DTYPE_F32, TERN_DTYPE_F32, TERN_DTYPE_F32,  TERN_DTYPE_F32,
                              TERN_DTYPE_I64, TERN_DTYPE_I32, TERN_DTYPE_BOOL, TERN_DTYPE_F16};
  const size_t i = in.below(std::size(kTypes) + 4);
  return i < std::size(kTypes) ? kTypes[i] : (DType)(TERN_DTYPE_F32 + in.below(13));
}

Shape some_shape(Input& in) {
  constexpr int64_t kDims[] = {2, 3, 4, 1, 2, 3, 4, 0, 8, 5, 33, 2};
  Shape s;
  for (size_t i = 0, rank = in.below(5); i < rank; ++i) s.push(kDims[in.below(std::size(kDims))]);
  if (in.below(64) == 63) s.push(std::numeric_limits<int64_t>::max() / 4);
  return s;
}

Ref<Tensor> some_tensor(Input& in) {
  const DType dtype = some_dtype(in);
  Shape shape = some_shape(in);
  uint64_t bytes = 0;
  if (tensor_bytes(dtype, shape, &bytes) != TERN_OK || bytes > 4096) shape = Shape{2};
  Ref<Tensor> t;
  check(Tensor::create(context(), dtype, shape, &t) == TERN_OK);
  const uint8_t seed = in.next();
  for (int64_t i = 0; i < shape.elements(); ++i)
    is_float(dtype) ? store_element(dtype, t->data(), i, (double)((i * 7 + seed) % 23) / 8 - 1)
                    : store_integer(dtype, t->data(), i, dtype == TERN_DTYPE_BOOL ? (i + seed) % 2 : (i + seed) % 3);
  return t;
}

// "x" [2,4] -> conv-free little network with a weight, a bias and a batch norm: [2,3].
Ref<Model> small_model() {
  GraphBuilder b(context());
  check(b.begin("forward") == TERN_OK);
  const auto parameter = [&](const char* name, const Shape& shape, double first) {
    Ref<Tensor> t;
    check(Tensor::create(context(), TERN_DTYPE_F32, shape, &t) == TERN_OK);
    for (int64_t i = 0; i < shape.elements(); ++i) ((float*)t->data())[i] = (float)(first + 0.1 * (double)(i % 7));
    return b.parameter(name, t.get());
  };
  const ValueId x = b.input("x", TERN_DTYPE_F32, {2, 4});
  const ValueId w[] = {x, parameter("w", {3, 4}, -0.2), parameter("bias", {3}, 0)};
  const ValueId n[] = {b.op("linear", "", w), parameter("scale", {3}, 1), parameter("shift", {3}, 0),
                       parameter("mean", {3}, 0), parameter("variance", {3}, 1)};
  const ValueId y[] = {b.op("batch_norm", "", n)};
  check(b.output("y", b.op("tanh", "", y)) == TERN_OK);
  Ref<Model> model;
  check(b.finish(&model) == TERN_OK);
  return model;
}

// "key=value" for some of the attributes of an operator, mostly of their kind.
std::string some_attributes(Input& in, const AttrSchema& schema) {
  constexpr const char* kIntegers[] = {"0",         "1", "2", "-1", "3", "-2", "4", "100", "-9223372036854775808",
                                       "2147483647"};
  constexpr const char* kNumbers[] = {"0", "1", "0.5", "-1", "1e-5", "1e18", "nan", "3", "inf"};
  constexpr const char* kLists[] = {"0",     "1",  "1,1",     "2,2",   "1,0",
                                    "0,1",   "-1", "1,1,1,1", "0,2,1", "2,3",
                                    "4,2,1", "",   "0,0,0,0", "0,0",   "9223372036854775807,2"};
  std::string text;
  for (int32_t i = 0; i < schema.count; ++i) {
    const AttrField& f = schema.fields[i];
    if (in.below(3) == 0) continue;
    text += (text.empty() ? "" : " ") + std::string(f.name) + "=";
    switch (in.below(24) == 23 ? (AttrType)in.below(4) : f.type) {
      case AttrType::integer: text += kIntegers[in.below(std::size(kIntegers))]; break;
      case AttrType::number: text += kNumbers[in.below(std::size(kNumbers))]; break;
      case AttrType::integers: text += kLists[in.below(std::size(kLists))]; break;
      case AttrType::choice: text += f.choices ? f.choices[in.below((size_t)f.max + 1)] : "none"; break;
    }
  }
  if (in.below(16) == 15) text += " outputs=3";
  return text;
}

class Calls {
 public:
  explicit Calls(Input in) : in_(in), net_(small_model()) {}

  // NULL: nothing was finished.
  Ref<Model> compose() {
    check(b_.begin("step") == TERN_OK);
    size_t nodes = 0;
    for (int i = 0; i < 60 && !in_.empty() && nodes < kMostNodes; ++i) {
      const GraphBuilder before = b_;
      const std::vector<ValueId> values = values_;
      const ValueId v = call();
      if (b_.status() != TERN_OK) {
        check(thread_error().code == b_.status() && thread_error().message[0]);
        b_ = before, values_ = values;
        continue;
      }
      if (v != kNoValue) {
        values_.push_back(v);
        const Value* value = b_.value(v);
        check(value);
        nodes = (size_t)std::max(value->producer, 0);
      }
    }
    if (!values_.empty() && b_.output("last", values_.back()) != TERN_OK) return {};
    Ref<Model> model;
    if (b_.finish(&model) != TERN_OK) return {};
    check(b_.finish(&model) == TERN_ERR_STATE);
    return model;
  }

 private:
  std::string name() { return std::string(1, (char)('a' + in_.below(6))); }

  ValueId some_value() {
    const size_t i = in_.below(24);
    if (i >= 22) return (ValueId)in_.next() - 2;
    return values_.empty() ? kNoValue : values_[values_.size() - 1 - i % std::min<size_t>(values_.size(), 22)];
  }

  ValueId op() {
    const std::span<const Op* const> all = all_ops();
    const Op& o = *all[in_.below(all.size())];
    const int32_t most = o.max_in < 0 ? o.min_in + 2 : o.max_in;
    const size_t count = (size_t)o.min_in + in_.below((size_t)std::max(1, most - o.min_in + 1));
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < count; ++i) inputs.push_back(some_value());
    return b_.op(o.name, some_attributes(in_, o.attributes), inputs);
  }

  ValueId gradient() {
    ValueId loss = some_value();
    if (in_.below(4)) loss = b_.op("reduce_mean", "", {&loss, 1});
    ValueId wrt[3], found[3] = {kNoValue, kNoValue, kNoValue};
    const size_t count = in_.below(4);
    for (size_t i = 0; i < count; ++i) wrt[i] = some_value();
    if (b_.gradient(loss, {wrt, count}, found) == TERN_OK)
      for (size_t i = 0; i < count; ++i) {
        check(b_.value(found[i])->shape == b_.value(wrt[i])->shape);
        check(b_.value(found[i])->dtype == b_.value(wrt[i])->dtype);
        values_.push_back(found[i]);
      }
    return kNoValue;
  }

  ValueId call_model() {
    constexpr const char* kNames[] = {"w", "bias", "mean", "y", "none"};
    CallOptions o;
    o.train = in_.below(2), o.keep_statistics = in_.below(4) == 3;
    const std::string set = in_.below(2) ? name() : "";
    o.set = set;
    const char* replaced = kNames[in_.below(std::size(kNames))];
    const ValueId instead = some_value();
    if (in_.below(3) == 2) o.names = {&replaced, 1}, o.values = {&instead, 1};
    ValueId x = some_value();
    if (in_.below(2)) x = b_.input(name(), TERN_DTYPE_F32, {2, 4});
    return b_.call(in_.below(2) ? name() : "", *net_, "forward", {&x, 1}, o);
  }

  ValueId call() {
    switch (in_.below(24)) {
      case 0:
      case 1: {
        const DType dtype = some_dtype(in_);
        return b_.input(name(), dtype, some_shape(in_));
      }
      case 2: return b_.scalar(in_.below(2) ? "step" : "seed");
      case 3:
      case 4: return b_.parameter(name(), some_tensor(in_).get());
      case 5: return in_.below(2) ? b_.parameter(name(), nullptr) : b_.find(name());
      case 6: {
        const DType dtype = some_dtype(in_);
        return b_.state(name(), dtype, some_shape(in_));
      }
      case 7: return b_.state_like(name(), some_value());
      case 8: return b_.constant(*some_tensor(in_));
      case 9: return b_.number((double)in_.next() / 16 - 4);
      case 10: {
        const ValueId target = some_value();
        b_.write(target, some_value());
        return kNoValue;
      }
      case 11: b_.output(name(), some_value()); return kNoValue;
      case 12:
      case 13: return gradient();
      case 14:
      case 15: return call_model();
      case 16: {
        const ValueId first = some_value();
        return b_.result(first, (int32_t)in_.below(4) - 1);
      }
      case 17:
        if (in_.below(4)) {
          for (const ValueId v : b_.list("{a,b,w,*bias}")) values_.push_back(v);
        } else if (b_.begin(name()) == TERN_OK) {
          values_.clear();
        }
        return kNoValue;
      default: return op();
    }
  }

  Input in_;
  Ref<Model> net_;
  GraphBuilder b_{context()};
  std::vector<ValueId> values_;  // known to the caller
};

// What is stored is what is read.
void store(const ModelDef& def) {
  std::vector<uint8_t> bytes;
  check(write_model_to_memory(def, &bytes) == TERN_OK);
  Bytes file;
  check(copy_bytes(bytes.data(), bytes.size(), &file) == TERN_OK);
  ModelDef back;
  check(read_model(file, resolve_limits(nullptr), &back) == TERN_OK && fuzz::walk(back, file));
  check(back.signatures.size() == def.signatures.size() && back.parameters.size() == def.parameters.size());
  for (size_t i = 0; i < def.signatures.size(); ++i)
    check(back.signatures[i].graph.nodes.size() == def.signatures[i].graph.nodes.size());
}

bool make_inputs(const Graph& g, bool scalars, std::vector<Ref<Tensor>>* tensors, std::vector<const Tensor*>* inputs) {
  uint64_t bytes = 0;
  for (const ValueId v : g.outputs) bytes += value_bytes(g.value(v));
  for (const ValueId id : g.inputs) {
    const Value& v = g.value(id);
    if (!scalars && v.kind == ValueKind::scalar && (v.name == "step" || v.name == "seed")) continue;
    Ref<Tensor> t;
    if ((bytes += value_bytes(v)) > kMostBytes || Tensor::create(context(), v.dtype, v.shape, &t) != TERN_OK)
      return false;
    for (int64_t i = 0; i < v.shape.elements() && is_float(v.dtype); ++i)
      store_element(v.dtype, t->data(), i, (double)(i % 5) / 4);
    inputs->push_back(t.get());
    tensors->push_back(std::move(t));
  }
  return true;
}

void run(const Model& model) {
  const ModelDef& def = model.def();
  for (const StateDecl& s : def.states) {
    uint64_t bytes = 0;
    if (encoded_bytes(s.encoding, s.dtype, s.shape, &bytes) != TERN_OK || bytes > kMostBytes) return;
  }
  std::unique_ptr<Trainer> trainer;
  std::vector<Ref<Tensor>> tensors;
  std::vector<const Tensor*> inputs;
  RunControl control;
  control.deadline_ns = monotonic_ns() + 50'000'000;
  Trainer::Options o;
  o.step = def.signatures.front().name;
  if (make_inputs(def.signatures.front().graph, false, &tensors, &inputs) &&
      Trainer::create(model, o, &trainer) == TERN_OK) {
    for (int i = 0; i < 2; ++i) trainer->step(inputs, control);
    return;
  }
  std::unique_ptr<Session> session;
  if (Session::create(model, {}, &session) != TERN_OK) return;
  for (size_t s = 0; s < def.signatures.size(); ++s) {
    const Graph& g = def.signatures[s].graph;
    tensors.clear(), inputs.clear();
    std::vector<const Tensor*> outputs(g.outputs.size());
    if (!make_inputs(g, true, &tensors, &inputs) || session->run((int32_t)s, inputs, outputs, control) != TERN_OK)
      continue;
    for (const Tensor* t : outputs) t->release();
  }
}

// The same model, whose plans are small.
Ref<Model> limited(const Ref<Model>& model) {
  return Ref<Model>::adopt(new Model(context(), model->def(), std::make_shared<Ref<Model>>(model), kMostBytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Input in{data + 2, data + size};
  const Ref<Model> model = Calls(in).compose();
  if (!model) return 0;
  store(model->def());
  run(*limited(model));
  const std::span<const Edit* const> edits = all_edits();
  Ref<Model> edited = model;
  for (int i = 0; i < 2; ++i) {
    const Edit& e = *edits[data[i] % edits.size()];
    Ref<Model> next;
    if (edit_model(*edited, e.description.name, "*", "", &next) != TERN_OK) continue;
    edited = next;
    store(edited->def());
    run(*limited(edited));
  }
  return 0;
}
