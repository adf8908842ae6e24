// SPDX-License-Identifier: Apache-2.0
// Real models through the public API alone: imported, run on real photographs and compared with what other engines
// computed (golden cases; format in make_goldens.py). Also: no node in plain loops, equal bits for one and two threads,
// and the same results with the oneDNN backend where its library is there.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "models/support.h"

namespace tern::test {
namespace {

constexpr double kTolerance = 1e-3;        // of the largest absolute value of an output
constexpr double kDecomposedShare = 0.02;  // of the time
constexpr int kProfiledRuns = 5;

struct Case {
  Json json;
  std::string folder;
  const Json& operator[](const char* key) const { return json[key]; }
};

std::vector<int64_t> dims_of(const Json& list) {
  std::vector<int64_t> dims;
  for (const Json& d : list.list) dims.push_back((int64_t)d.number);
  return dims;
}

std::string shapes_text(const Json& reshape) {
  std::string text;
  for (const auto& [input, dims] : reshape.object) {
    if (!text.empty()) text += ';';
    text.append(input).append("=");
    for (size_t i = 0; i < dims.list.size(); ++i)
      text.append(i ? "x" : "").append(std::to_string((int64_t)dims.list[i].number));
  }
  return text;
}

// The inputs in the order of the model's signature.
void make_inputs(const Case& c, tern_context* context, const tern_model* model, std::vector<Tensor>* out) {
  out->clear();
  out->resize((size_t)tern_model_num_tensors(model, 0, TERN_ROLE_INPUT));
  ASSERT_EQ(out->size(), c["inputs"].list.size());
  for (const Json& j : c["inputs"].list) {
    int32_t index = -1;
    ASSERT_OK(tern_model_find_tensor(model, 0, TERN_ROLE_INPUT, j["name"].text.c_str(), &index));
    const std::vector<int64_t> dims = dims_of(j["shape"]);
    tern_tensor* tensor = nullptr;
    ASSERT_OK(tern_tensor_create(context, TERN_DTYPE_F32, dims.data(), (int32_t)dims.size(), &tensor));
    (*out)[(size_t)index].reset(tensor);
    std::vector<float> values;
    ASSERT_TRUE(read_npy(c.folder + j["file"].text, &values)) << j["file"].text;
    ASSERT_EQ((int64_t)values.size(), tern_tensor_num_elements(tensor));
    float* data = (float*)tern_tensor_data(tensor);
    const float scale = (float)j["scale"].number, offset = (float)j["offset"].number;
    for (size_t i = 0; i < values.size(); ++i) data[i] = values[i] * scale + offset;
  }
}

void run(tern_session* session, const tern_model* model, const std::vector<Tensor>& inputs,
         std::vector<ResultTensor>* out) {
  std::vector<const tern_tensor*> in, results((size_t)tern_model_num_tensors(model, 0, TERN_ROLE_OUTPUT));
  for (const Tensor& t : inputs) in.push_back(t.get());
  ASSERT_OK(
      tern_session_run(session, 0, in.data(), (int32_t)in.size(), results.data(), (int32_t)results.size(), nullptr));
  out->clear();
  for (const tern_tensor* t : results) out->emplace_back(t);
}

void compare_with_golden(const Case& c, const tern_model* model, const std::vector<ResultTensor>& results) {
  ASSERT_EQ(results.size(), c["outputs"].list.size());
  for (const Json& j : c["outputs"].list) {
    SCOPED_TRACE("output " + j["name"].text);
    int32_t index = -1;
    ASSERT_OK(tern_model_find_tensor(model, 0, TERN_ROLE_OUTPUT, j["name"].text.c_str(), &index));
    const tern_tensor* tensor = results[(size_t)index].get();
    ASSERT_EQ(tern_tensor_dtype(tensor), TERN_DTYPE_F32);
    std::vector<int64_t> dims;
    for (int32_t i = 0; i < tern_tensor_rank(tensor); ++i) dims.push_back(tern_tensor_dim(tensor, i));
    ASSERT_EQ(dims, dims_of(j["shape"]));
    std::vector<float> golden;
    ASSERT_TRUE(read_npy(c.folder + j["file"].text, &golden)) << j["file"].text;
    const int64_t stride = (int64_t)j["stride"].number, n = tern_tensor_num_elements(tensor);
    ASSERT_EQ((int64_t)golden.size(), (n + stride - 1) / stride);
    const float* data = (const float*)tern_tensor_const_data(tensor);
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) ASSERT_TRUE(std::isfinite(data[i])) << "element " << i;
    for (size_t i = 0; i < golden.size(); ++i)
      worst = std::max(worst, std::fabs((double)data[(int64_t)i * stride] - golden[i]));
    EXPECT_LE(worst, kTolerance * j["absmax"].number) << "relative error " << worst / j["absmax"].number;
    std::printf("  %-28s relative error %.1e\n", j["name"].text.c_str(), worst / j["absmax"].number);
  }
}

void check_placement(const tern_session* session) {
  double total = 0, decomposed = 0;
  const int32_t n = tern_session_num_placements(session, 0);
  ASSERT_GT(n, 0);
  std::string slowest;
  for (int32_t i = 0; i < n; ++i) {
    tern_placement p = TERN_PLACEMENT_INIT;
    ASSERT_OK(tern_session_get_placement(session, 0, i, &p));
    EXPECT_NE(p.kind, TERN_PLACED_REFERENCE) << p.op << " '" << p.node << "' runs in plain loops: " << p.reason;
    total += p.time_ns;
    if (p.kind != TERN_PLACED_DECOMPOSED) continue;
    decomposed += p.time_ns;
    slowest +=
        std::string("\n  ") + p.op + " of " + p.origin + ": " + std::to_string(p.time_ns / 1e6) + " ms, " + p.reason;
  }
  EXPECT_GT(total, 0);
  EXPECT_LT(decomposed, kDecomposedShare * total) << "parts of decomposed operators:" << slowest;
}

void run_on(const Case& c, const std::string& file, const char* backends) {
  SCOPED_TRACE(backends);
  Context context;
  Model model;
  ASSERT_NO_FATAL_FAILURE(load(file, 2, &context, &model));
  tern_session_options options = TERN_SESSION_OPTIONS_INIT;
  options.backends = backends;
  tern_session* made = nullptr;
  ASSERT_OK(tern_session_create(model.get(), &options, &made));
  const Session session(made);
  std::vector<Tensor> inputs;
  ASSERT_NO_FATAL_FAILURE(make_inputs(c, context.get(), model.get(), &inputs));
  std::vector<ResultTensor> results;
  ASSERT_NO_FATAL_FAILURE(run(session.get(), model.get(), inputs, &results));
  compare_with_golden(c, model.get(), results);
}

class Models : public testing::TestWithParam<std::string> {};

TEST_P(Models, AreRight) {
  Case c;
  c.folder = source_folder() + "/tests/models/golden/" + GetParam() + "/";
  ASSERT_TRUE(read_json(c.folder + "case.json", &c.json));
  const std::string source = model_path(c["model"].text);
  if (!std::filesystem::exists(source)) TERN_SKIP(GetParam() + ": " + source + " is not there (samples/fetch all)");
  std::string file;
  ASSERT_NO_FATAL_FAILURE(import_model(source, shapes_text(c["reshape"]), &file));

  std::vector<ResultTensor> results[2];
  for (const int threads : {1, 2}) {
    SCOPED_TRACE(std::to_string(threads) + " threads");
    Context context;
    Model model;
    ASSERT_NO_FATAL_FAILURE(load(file, threads, &context, &model));
    tern_session_options options = TERN_SESSION_OPTIONS_INIT;
    options.flags = TERN_SESSION_PROFILE;
    tern_session* made = nullptr;
    ASSERT_OK(tern_session_create(model.get(), &options, &made));
    const Session session(made);
    std::vector<Tensor> inputs;
    ASSERT_NO_FATAL_FAILURE(make_inputs(c, context.get(), model.get(), &inputs));
    std::vector<ResultTensor>& mine = results[threads - 1];
    for (int i = 0; i < kProfiledRuns; ++i) ASSERT_NO_FATAL_FAILURE(run(session.get(), model.get(), inputs, &mine));
    if (threads == 1) {
      ASSERT_NO_FATAL_FAILURE(compare_with_golden(c, model.get(), mine));
    }
    check_placement(session.get());
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  for (size_t i = 0; i < results[0].size(); ++i) {
    const tern_tensor *one = results[0][i].get(), *two = results[1][i].get();
    ASSERT_EQ(tern_tensor_bytes(one), tern_tensor_bytes(two));
    EXPECT_EQ(std::memcmp(tern_tensor_const_data(one), tern_tensor_const_data(two), tern_tensor_bytes(one)), 0)
        << "output " << i << " differs between one and two threads";
  }
  if (has_onednn()) run_on(c, file, "onednn,cpu");
}

std::vector<std::string> all_cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() + "/tests/models/golden"))
    if (std::filesystem::exists(entry.path() / "case.json")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, Models, testing::ValuesIn(all_cases()), [](const auto& info) { return info.param; });

TEST(Models, AllCasesAreThere) { EXPECT_EQ(all_cases().size(), 20u); }

}  // namespace
}  // namespace tern::test
