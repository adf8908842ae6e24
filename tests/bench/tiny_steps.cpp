// SPDX-License-Identifier: Apache-2.0
// Streams of tiny steps: a recurrent cell h = tanh(W x + U h + b) on one element, run by a prepared run. Prints the
// time of a step, that of its arithmetic alone (the same kernels called directly), and what lies between.
//   tiny_steps [steps=1000000] [width=8]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backends/cpu/backend.h"
#include "base/panel.h"
#include "kernels/cpu/dispatch.h"
#include "ops/op.h"
#include "runtime/session.h"

namespace {

using namespace tern;

ValueId weight(ModelDef& def, Graph& g, const char* name, const Shape& shape, float scale) {
  std::vector<float> values((size_t)shape.elements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = scale * (float)((i * 2654435761u >> 8) % 201 - 100.0f) / 100;
  Parameter p;
  p.name = name, p.dtype = TERN_DTYPE_F32, p.shape = shape;
  p.encoding = shape.rank == 2 ? Encoding::panel32 : Encoding::plain;
  if (encoded_bytes(p.encoding, p.dtype, shape, &p.bytes) != TERN_OK) std::exit(1);
  void* to = nullptr;
  p.data = make_data(p.bytes, &to);
  encode(p.encoding, p.dtype, shape, values.data(), to);
  Value v;
  v.name = name, v.kind = ValueKind::parameter, v.index = (int32_t)def.parameters.size(), v.dtype = p.dtype,
  v.encoding = p.encoding, v.shape = shape;
  def.parameters.push_back(std::move(p));
  return add_value(g, std::move(v));
}

void check(tern_status status) {
  if (status == TERN_OK) return;
  std::fprintf(stderr, "%s\n", thread_error().message);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t steps = argc > 1 ? std::atoll(argv[1]) : 1000000, width = argc > 2 ? std::atoll(argv[2]) : 8;
  static const BackendApi* const tables[] = {&cpu::backend()};
  const Ref<Context> context = Ref<Context>::adopt(new Context(Context::Options{}, tables));

  ModelDef def;
  def.states.push_back({"h", TERN_DTYPE_F32, {1, width}});
  Graph g;
  const ValueId x = add_input(g, "x", TERN_DTYPE_F32, {1, width});
  Value state;
  state.name = "h", state.kind = ValueKind::state, state.index = 0, state.dtype = TERN_DTYPE_F32,
  state.shape = {1, width};
  const ValueId h = add_value(g, std::move(state));
  const float scale = 1.0f / (float)width;
  const ValueId from_x =
      emit(g, "linear", {x, weight(def, g, "w", {width, width}, scale), weight(def, g, "b", {width}, 0.1f)});
  const ValueId from_h = emit(g, "linear", {h, weight(def, g, "u", {width, width}, scale)});
  const ValueId next = emit(g, "tanh", {add(g, from_x, from_h)});
  emit(g, "state_write", {h, next});
  g.outputs = {next};
  check(g.status);
  Signature s;
  s.name = "step";
  s.graph = std::move(g);
  s.output_names = {"y"};
  def.signatures.push_back(std::move(s));
  const Ref<Model> model = Ref<Model>::adopt(new Model(*context, std::move(def), nullptr));

  std::unique_ptr<Session> session;
  check(Session::create(*model, {}, &session));
  Ref<Tensor> in, out;
  check(Tensor::create(*context, TERN_DTYPE_F32, {1, width}, &in));
  check(Tensor::create(*context, TERN_DTYPE_F32, {1, width}, &out));
  std::fill_n((float*)in->data(), width, 0.5f);
  check(session->bind_input(0, 0, in.get()));
  check(session->bind_output(0, 0, out.get()));
  check(session->run_bound(0, {}));

  // The arithmetic: two products with bias, residual and tanh in the kernel.
  const cpu::Kernels& k = cpu::kernels();
  std::vector<float> hidden((size_t)width), sum((size_t)width);
  const auto weights = [&](int32_t parameter) {
    const void* bytes = nullptr;
    check(session->parameters().item(parameter)->read(&bytes));
    return bytes;
  };
  const auto product = [&](const float* from, int32_t parameter, float* to) {
    cpu::PanelMatmulArgs a;
    a.x = from, a.w = weights(parameter), a.y = to;
    a.rows = 1, a.n = width, a.k = width, a.x_stride = a.y_stride = width;
    return a;
  };
  cpu::PanelMatmulArgs first = product((const float*)in->data(), 0, sum.data()),
                       second = product(hidden.data(), 2, sum.data());
  first.epilogue.bias = (const float*)weights(1);
  second.epilogue.residual = sum.data(), second.epilogue.residual_stride = width, second.epilogue.residual_first = 1;
  second.epilogue.activation.kind = Elementwise::tanh;
  std::vector<char> scratch(std::max(panel_matmul_scratch_bytes(first), panel_matmul_scratch_bytes(second)) + 64);
  const auto arithmetic = [&] {
    k.matmul->panel_matmul(&first, 0, panel_matmul_units(first), scratch.data());
    k.matmul->panel_matmul(&second, 0, panel_matmul_units(second), scratch.data());
    std::memcpy(hidden.data(), sum.data(), hidden.size() * sizeof(float));
  };

  // Interleaved, the best of several rounds: others use the machine too.
  double step_ns = 1e30, arithmetic_ns = 1e30;
  const int64_t rounds = 20, part = std::max<int64_t>(1, steps / rounds);
  for (int64_t r = 0; r < rounds; ++r) {
    uint64_t t = monotonic_ns();
    for (int64_t i = 0; i < part; ++i) check(session->run_bound(0, {}));
    step_ns = std::min(step_ns, (double)(monotonic_ns() - t) / (double)part);
    t = monotonic_ns();
    for (int64_t i = 0; i < part; ++i) arithmetic();
    arithmetic_ns = std::min(arithmetic_ns, (double)(monotonic_ns() - t) / (double)part);
  }
  for (int64_t i = 0; i < width; ++i)
    if (!(std::abs(hidden[(size_t)i] - ((const float*)out->data())[i]) < 1e-5f))
      return std::fprintf(stderr, "element %d differs\n", (int)i), 1;
  std::printf("%lld steps of width %lld, %s: %.0f ns a step, %.0f ns of arithmetic, %.0f ns beyond\n",
              (long long)(rounds * part), (long long)width, k.isa, step_ns, arithmetic_ns, step_ns - arithmetic_ns);
  for (const Session::Placement& p : session->placements(0)) std::printf("  %s on %s\n", p.op.c_str(), p.backend);
  return 0;
}
