// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a model file with right checksums goes the whole way of a file: load, check, plans for several sizes,
// runs on several contents, states, tasks.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "backends/cpu/backend.h"
#include "format/checksum.h"
#include "format/reader.h"
#include "format/writer.h"
#include "runtime/session.h"
#include "tasks/vision.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/walk.h"
#include "tests/runtime/reference_backend.h"

namespace {

using namespace tern;

constexpr uint64_t kMostBytes = 256 << 10;

// How far inputs came, printed at the end with TERN_FUZZ_STATISTICS set: a mutator whose models are refused tests
// nothing.
struct Statistics {
  uint64_t inputs = 0, loaded = 0, runs = 0, ended = 0, nodes = 0, tasks = 0;
};
Statistics& statistics() {
  static Statistics s;
  static const bool printed =
      std::getenv("TERN_FUZZ_STATISTICS") &&
      std::atexit([] {
        const Statistics& t = statistics();
        std::printf("inputs %llu, loaded %llu, runs %llu of %llu ended well (%.1f nodes each), tasks %llu\n",
                    (unsigned long long)t.inputs, (unsigned long long)t.loaded, (unsigned long long)t.ended,
                    (unsigned long long)t.runs, t.ended ? (double)t.nodes / (double)t.ended : 0.0,
                    (unsigned long long)t.tasks);
      }) == 0;
  (void)printed;
  return s;
}

// Floats and integers of a usual size, with special ones here and there.
void fill(Tensor& t, fuzz::Random& r) {
  const bool special = r.one_in(3);
  for (int64_t i = 0, n = t.shape().elements(); i < n; ++i) {
    if (is_float(t.dtype())) {
      constexpr double kSpecial[] = {INFINITY, -INFINITY, NAN, 1e30, -1e30, 1e-40, 0};
      store_element(t.dtype(), t.data(), i,
                    special && r.one_in(5) ? kSpecial[r.below(std::size(kSpecial))] : (double)r.below(401) / 100 - 2);
    } else {
      constexpr int64_t kSpecial[] = {-1, 1000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 64, -128};
      store_integer(t.dtype(), t.data(), i,
                    t.dtype() == TERN_DTYPE_BOOL ? r.below(2)
                    : special && r.one_in(5)     ? kSpecial[r.below(std::size(kSpecial))]
                                                 : r.below(5));
    }
  }
}

RunControl some_time() {
  RunControl control;
  control.deadline_ns = monotonic_ns() + 100'000'000;
  return control;
}

// The sizes of the file's own symbols in the first round, others in those that follow.
bool make_inputs(const Session& session, const Signature& s, int round, fuzz::Random& r,
                 std::vector<Ref<Tensor>>* out) {
  const Graph& g = s.graph;
  std::vector<int64_t> sizes;
  for (const Symbol& y : s.symbols) {
    int64_t size = y.hint;
    if (round > 0) size = y.hint + (r.below(9) - 4) * std::min<int64_t>(y.multiple, 64);
    sizes.push_back(std::min(std::max(size, y.min), y.max));
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    Value v = g.value(g.inputs[i]);
    for (const SymbolicDim& d : s.symbolic_dims)
      if (d.input == (int32_t)i) v.shape[d.axis] = sizes[(size_t)d.symbol];
    Ref<Tensor> t;
    if (check_shape(v.shape, "input") != TERN_OK || (bytes += value_bytes(v)) > kMostBytes ||
        Tensor::create(session.model().context(), v.dtype, v.shape, &t) != TERN_OK)
      return false;
    fill(*t, r);
    out->push_back(std::move(t));
  }
  return true;
}

void run(Session& session, int32_t signature, fuzz::Random& r) {
  const Signature& s = session.model().def().signatures[(size_t)signature];
  if (s.graph.outputs.size() > 100) return;
  for (int round = 0; round < 3; ++round) {
    std::vector<Ref<Tensor>> tensors;
    if (!make_inputs(session, s, round, r, &tensors)) continue;
    std::vector<const Tensor*> inputs, outputs(s.graph.outputs.size());
    for (size_t i = 0; i < tensors.size(); ++i)
      inputs.push_back((int32_t)i == s.position_input || (int32_t)i == s.sequence_input ? nullptr : tensors[i].get());
    ++statistics().runs;
    if (session.run(signature, inputs, outputs, some_time()) != TERN_OK) continue;
    ++statistics().ended;
    statistics().nodes += s.graph.nodes.size();
    for (const Tensor* t : outputs) {
      uint64_t bytes;
      // Every byte is there, and as many as the shape says.
      if (tensor_bytes(t->dtype(), t->shape(), &bytes) != TERN_OK || bytes != t->bytes()) std::abort();
      (void)checksum64(t->data(), t->bytes());
      t->release();
    }
  }
}

void use_states(Session& session) {
  Ref<State> copy;
  Ref<Tensor> t;
  const ModelDef& def = session.model().def();
  if (session.state().fork(&copy) != TERN_OK) return;
  for (size_t i = 0; i < def.states.size(); ++i)
    if (copy->get((int32_t)i, &t) == TERN_OK && copy->set((int32_t)i, *t) != TERN_OK) std::abort();
  const Ref<Parameters> parameters = Ref<Parameters>::adopt(new Parameters(session.model()));
  for (size_t i = 0; i < def.parameters.size(); ++i)
    if (parameters->get((int32_t)i, &t) == TERN_OK && parameters->set((int32_t)i, *t) != TERN_OK) std::abort();
}

void use_tasks(const Model& model, fuzz::Random& r) {
  if (!find_metadata(model.def(), "task")) return;
  constexpr int32_t kWidth = 24, kHeight = 18;
  std::vector<uint8_t> pixels(kWidth * kHeight * 3);
  for (uint8_t& p : pixels) p = (uint8_t)r.next();
  tern_picture picture = TERN_PICTURE_INIT;
  picture.format = TERN_PICTURE_RGB8;
  picture.width = kWidth, picture.height = kHeight;
  picture.planes[0] = pixels.data();
  picture.strides[0] = kWidth * 3;
  image::Picture read;
  std::unique_ptr<Vision> vision;
  const Model* models[] = {&model};
  VisionOptions options;
  options.follow = r.one_in(3);
  if (Vision::create(models, options, &vision) != TERN_OK || read_picture(&picture, &read) != TERN_OK) return;
  ++statistics().tasks;
  const tern_vision_result* result = nullptr;
  for (int i = 0; i < 2; ++i) {
    if (vision->run({&read, 1}, {}, &result) != TERN_OK) continue;
    // What is handed out is sound.
    for (int32_t k = 0; k < result->num_detections; ++k) {
      const tern_detection& d = result->detections[k];
      if (!(d.x0 >= 0 && d.x0 <= d.x1 && d.x1 <= kWidth && d.y0 >= 0 && d.y0 <= d.y1 && d.y1 <= kHeight &&
            d.label >= 0))
        std::abort();
      for (int32_t p = 0; p < result->num_keypoints; ++p)
        if (!std::isfinite(result->keypoints[k * result->num_keypoints + p].x)) std::abort();
      if (!result->masks) continue;
      const tern_mask& mask = result->masks[k];
      if (mask.x < 0 || mask.y < 0 || mask.x + mask.width > kWidth || mask.y + mask.height > kHeight) std::abort();
      int sum = 0;
      for (int32_t p = 0; p < mask.width * mask.height; ++p) sum += mask.pixels[p];
      if (sum < 0) std::abort();
    }
  }
}

void go(const uint8_t* data, size_t size) {
  Bytes file;
  ++statistics().inputs;
  if (copy_bytes(data, size, &file) != TERN_OK) return;
  fuzz::reseal(const_cast<uint8_t*>(file.data), file.size);
  tern_limits limits = resolve_limits(nullptr);
  limits.max_tensor_bytes = kMostBytes;
  limits.max_planned_bytes = 4 * kMostBytes;
  ModelDef def;
  if (read_model(file, limits, &def) != TERN_OK) return;
  ++statistics().loaded;
  if (!fuzz::walk(def, file)) std::abort();
  if (check_weights(def) != TERN_OK) return;
  std::vector<uint8_t> again;
  if (write_model_to_memory(def, &again) != TERN_OK) std::abort();
  static const BackendApi* const tables[] = {&cpu::backend(), &test::reference_backend()};
  Context::Options one;
  one.threads.num_threads = 1;
  const auto context = Ref<Context>::adopt(new Context(one, tables));
  const auto model = Ref<Model>::adopt(new Model(*context, std::move(def), file.owner, limits.max_planned_bytes));
  fuzz::Random r{checksum64(data, size)};
  Session::Options options;
  options.max_plans = 2;
  if (r.one_in(4)) options.backends = "reference";
  options.profile = r.one_in(8);
  options.keep = r.one_in(8);
  std::unique_ptr<Session> session;
  if (Session::create(*model, options, &session) != TERN_OK) return;
  for (size_t i = 0; i < std::min<size_t>(4, model->def().signatures.size()); ++i) run(*session, (int32_t)i, r);
  use_states(*session);
  use_tasks(*model, r);
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  const std::vector<uint8_t> file = fuzz::mutate_file(data, size, seed);
  if (file.size() > max_size || file.empty()) return size;
  std::memcpy(data, file.data(), file.size());
  return file.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  go(data, size);
  return 0;
}
