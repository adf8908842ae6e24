// SPDX-License-Identifier: Apache-2.0
// Training steps of the digits' network (samples/digits/train.py) and of the same with batch norm, on pictures of
// 28 x 28, and of one block of a transformer, on batch / 4 sequences of 128 tokens. Prints milliseconds a step (the
// median); with another build of this program both are run in turns, and the ratio is printed.
//   train_step [other build | -] [batch=32] [threads=1] [backend=cpu]
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/backend.h"
#include "ops/attention.h"
#include "ops/conv2d.h"
#include "ops/normalize.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "runtime/session.h"
#include "train/differentiate.h"

namespace {

using namespace tern;

void check(tern_status status) {
  if (status == TERN_OK) return;
  std::fprintf(stderr, "%s\n", thread_error().message);
  std::exit(1);
}

float noise(uint64_t i) { return (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f; }

// A parameter in the order that an importer gives it.
ValueId weight(ModelDef& def, Graph& g, const Shape& shape) {
  const int64_t inputs = shape.elements() / shape[0];
  std::vector<float> values((size_t)shape.elements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = noise(i + 7 * def.parameters.size()) / (float)inputs;
  Parameter p;
  p.name = "p" + std::to_string(def.parameters.size()), p.dtype = TERN_DTYPE_F32, p.shape = shape;
  p.encoding = shape.rank > 1 ? Encoding::panel32 : Encoding::plain;
  check(encoded_bytes(p.encoding, p.dtype, shape, &p.bytes));
  void* to = nullptr;
  p.data = make_data(p.bytes, &to);
  encode(p.encoding, p.dtype, shape, values.data(), to);
  Value v;
  v.name = p.name, v.kind = ValueKind::parameter, v.index = (int32_t)def.parameters.size(), v.dtype = p.dtype,
  v.encoding = p.encoding, v.shape = shape;
  def.parameters.push_back(std::move(p));
  return add_value(g, std::move(v));
}

constexpr int64_t kTokens = 128, kDim = 256, kHeads = 4;
constexpr const char* kNames[] = {"digits", "with batch norm", "transformer"};
constexpr int kKinds = 3;

ValueId pictures(ModelDef& def, Graph& g, int64_t batch, bool norms) {
  ValueId x = add_input(g, "image", TERN_DTYPE_F32, {batch, 28, 28, 1});
  int64_t from = 1;
  for (const int64_t to : {12, 20}) {
    x = emit(g, "conv2d", {x, weight(def, g, {to, 3, 3, from}), weight(def, g, {to})},
             Conv2dAttrs{.pads = {1, 1, 1, 1}});
    if (norms) x = emit(g, "batch_norm_train", {x, weight(def, g, {to}), weight(def, g, {to})});
    x = emit(g, "max_pool2d", {emit(g, "relu", {x})}, MaxPool2dAttrs{.kernel = {2, 2}, .strides = {2, 2}});
    from = to;
  }
  x = reshape(g, x, {batch, 7 * 7 * 20});
  x = emit(g, "relu", {emit(g, "linear", {x, weight(def, g, {32, 7 * 7 * 20}), weight(def, g, {32})})});
  return emit(g, "linear", {x, weight(def, g, {10, 32}), weight(def, g, {10})});
}

ValueId transformer(ModelDef& def, Graph& g, int64_t batch) {
  constexpr int64_t kSwap[] = {0, 2, 1, 3};
  ValueId x = add_input(g, "tokens", TERN_DTYPE_F32, {batch, kTokens, kDim});
  const auto dense = [&](ValueId v, int64_t out, int64_t in) {
    return emit(g, "linear", {v, weight(def, g, {out, in})});
  };
  const auto norm = [&](ValueId v) {
    return emit(g, "layer_norm", {v, weight(def, g, {kDim}), weight(def, g, {kDim})});
  };
  const ValueId n = norm(x);
  const auto heads = [&] {
    return transpose(g, reshape(g, dense(n, kDim, kDim), {batch, kTokens, kHeads, kDim / kHeads}), kSwap);
  };
  const ValueId q = heads(), k = heads(), v = heads();
  const ValueId y = transpose(g, emit(g, "attention", {q, k, v}, AttentionAttrs{.causal = 1}), kSwap);
  x = add(g, x, dense(reshape(g, y, {batch, kTokens, kDim}), kDim, kDim));
  x = add(g, x, dense(emit(g, "gelu", {dense(norm(x), 4 * kDim, kDim)}), kDim, 4 * kDim));
  return dense(reshape(g, norm(x), {batch * kTokens, kDim}), 10, kDim);
}

// kind: of kNames
ModelDef network(int64_t batch, int kind) {
  ModelDef def;
  Graph g;
  const ValueId x = kind == 2 ? transformer(def, g, batch) : pictures(def, g, batch, kind == 1);
  const ValueId labels = add_input(g, "labels", TERN_DTYPE_I32, {g.value(x).shape[0]});
  const ValueId loss = emit(g, "reduce_mean", {emit(g, "softmax_cross_entropy", {x, labels})}, ReduceAttrs{});
  std::vector<ValueId> wrt, gradients;
  for (size_t v = 0; v < g.values.size(); ++v)
    if (g.values[v].kind == ValueKind::parameter) wrt.push_back((ValueId)v);
  check(g.status);
  check(differentiate(g, loss, wrt, &gradients));
  const ValueId rate = add_constant(g, 0.01f);
  for (size_t i = 0; i < wrt.size(); ++i) emit(g, "sgd_update", {wrt[i], gradients[i], rate});
  check(g.status);
  g.outputs = {loss};
  Signature s;
  s.name = "train", s.output_names = {"loss"}, s.graph = std::move(g);
  def.signatures.push_back(std::move(s));
  return def;
}

double milliseconds(int64_t batch, int kind, int32_t threads, const char* backend) {
  if (kind == 2) batch = std::max<int64_t>(1, batch / 4);
  static const BackendApi* const tables[] = {&cpu::backend()};
  Context::Options context_options;
  context_options.threads.num_threads = threads;
  const Ref<Context> context = Ref<Context>::adopt(new Context(context_options, tables));
  const Ref<Model> model = Ref<Model>::adopt(new Model(*context, network(batch, kind), {}));
  Session::Options options;
  options.backends = backend;
  options.profile = std::getenv("TRAIN_STEP_PROFILE") != nullptr;
  std::unique_ptr<Session> session;
  check(Session::create(*model, options, &session));
  Ref<tern::Tensor> x, labels;
  check(
      Tensor::create(*context, TERN_DTYPE_F32, kind == 2 ? Shape{batch, kTokens, kDim} : Shape{batch, 28, 28, 1}, &x));
  check(Tensor::create(*context, TERN_DTYPE_I32, {kind == 2 ? batch * kTokens : batch}, &labels));
  for (int64_t i = 0; i < x->shape().elements(); ++i) ((float*)x->data())[i] = noise((uint64_t)i) * 0.5f + 0.5f;
  for (int64_t i = 0; i < labels->shape().elements(); ++i) ((int32_t*)labels->data())[i] = (int32_t)(i % 10);
  const Tensor* inputs[] = {x.get(), labels.get()};
  std::vector<double> times;
  const uint64_t stop = monotonic_ns() + 1'000'000'000;
  while (times.size() < 5 || (monotonic_ns() < stop && times.size() < 200)) {
    const Tensor* out[1] = {};
    const uint64_t begin = monotonic_ns();
    check(session->run(0, inputs, out, {}));
    times.push_back((double)(monotonic_ns() - begin) / 1e6);
    out[0]->release();
  }
  std::nth_element(times.begin(), times.begin() + (ptrdiff_t)times.size() / 2, times.end());
  return times[times.size() / 2];
}

// What a build of this program prints when it is asked to measure.
bool measured(const std::string& command, double (&out)[kKinds]) {
  std::FILE* f = popen(command.c_str(), "r");
  if (!f) return false;
  bool read = true;
  for (double& ms : out) read = read && std::fscanf(f, "%lf", &ms) == 1;
  return pclose(f) == 0 && read;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string other = argc > 1 ? argv[1] : "-";
  const int64_t batch = argc > 2 ? std::atoll(argv[2]) : 32;
  const int32_t threads = argc > 3 ? std::atoi(argv[3]) : 1;
  const char* backend = argc > 4 ? argv[4] : "cpu";
  if (other == "-") {
    for (int k = 0; k < kKinds; ++k) std::printf("%.4f\n", milliseconds(batch, k, threads, backend));
    return 0;
  }
  char self[4096] = {};
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 1;
  const std::string arguments =
      " - " + std::to_string(batch) + " " + std::to_string(threads) + " " + std::string(backend);
  std::vector<double> ratios[kKinds];
  double mine[kKinds], theirs[kKinds];
  for (int round = 0; round < 5; ++round) {
    if (!measured("'" + std::string(self) + "'" + arguments, mine) || !measured("'" + other + "'" + arguments, theirs))
      return 1;
    for (int k = 0; k < kKinds; ++k) {
      ratios[k].push_back(theirs[k] / mine[k]);
      std::printf("%-16s %9.3f ms, other build %9.3f ms: %.2f times as fast\n", kNames[k], mine[k], theirs[k],
                  theirs[k] / mine[k]);
    }
  }
  for (int k = 0; k < kKinds; ++k) {
    std::sort(ratios[k].begin(), ratios[k].end());
    std::printf("%-16s median of the ratios %.2f\n", kNames[k], ratios[k][2]);
  }
  return 0;
}
