// SPDX-License-Identifier: Apache-2.0
// The node tests of the ONNX project, as Debian's libonnx-testdata ships them (ONNX 1.12) and as the package `onnx`
// 1.23.2 makes them (tests/setup test): each is imported and evaluated, and must give the expected outputs or be
// refused. Which are refused stands in onnx_unsupported.txt and onnx_unsupported_1.23.txt, which may only shrink: a
// test that is listed and passes is an error, and so is one that is refused and not listed. A wrong result always
// fails. The README says how many pass; fewer are an error.
//
// Many of these tests give shapes, axes or sizes as inputs, which Tern needs when a plan is made. Such a test is
// imported again with these inputs bound to their content.
//
// TERN_ONNX_ONLY: a part of a test's name. TERN_ONNX_WRITE: a folder to which the lists are written as they should be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "evaluate.h"
#include "import/onnx.h"

namespace fs = std::filesystem;
using namespace tern;
using namespace tern::test;

namespace {

std::vector<uint8_t> read_file(const fs::path& path) {
  std::ifstream f(path, std::ios::binary);
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(f), {});
}

enum class Outcome { passes, refused, wrong };

struct Result {
  Outcome outcome = Outcome::refused;
  std::string reason;
};

bool read_tensor(const fs::path& path, TensorData* out) {
  const std::vector<uint8_t> bytes = read_file(path);
  onnx::TensorProto t;
  return t.ParseFromArray(bytes.data(), (int)bytes.size()) && read_onnx_tensor(t, out) == TERN_OK;
}

// The data holds bfloat16 as bits in 16-bit integers.
void as_declared(const onnx::ValueInfoProto& v, TensorData* t) {
  if (v.type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16 && t->dtype == TERN_DTYPE_U16)
    t->dtype = TERN_DTYPE_BF16;
}

bool fits(const onnx::ValueInfoProto& v, const Shape& shape) {
  const auto& declared = v.type().tensor_type().shape();
  if (declared.dim_size() != shape.rank) return false;
  for (int i = 0; i < shape.rank; ++i)
    if (declared.dim(i).has_dim_value() && declared.dim(i).dim_value() != shape[i]) return false;
  return true;
}

Result run_one(const fs::path& folder, const onnx::ModelProto& proto, const std::vector<uint8_t>& file,
               bool rounds_each_step) {
  Result result;
  std::vector<fs::path> sets;
  for (const auto& e : fs::directory_iterator(folder))
    if (e.is_directory()) sets.push_back(e.path());
  for (const fs::path& set : sets) {
    std::vector<TensorData> inputs, expected;
    std::vector<const onnx::ValueInfoProto*> declared;  // those that no initializer gives
    for (const auto& v : proto.graph().input())
      if (std::none_of(proto.graph().initializer().begin(), proto.graph().initializer().end(),
                       [&](const auto& t) { return t.name() == v.name(); }))
        declared.push_back(&v);
    for (size_t i = 0; i < declared.size(); ++i) {
      TensorData t;
      if (!read_tensor(set / ("input_" + std::to_string(i) + ".pb"), &t))
        return {Outcome::refused, "input that is no tensor of numbers"};
      t.name = declared[i]->name();
      as_declared(*declared[i], &t);
      inputs.push_back(t);
    }
    for (int i = 0; i < proto.graph().output_size(); ++i) {
      TensorData t;
      if (!read_tensor(set / ("output_" + std::to_string(i) + ".pb"), &t))
        return {Outcome::refused, "output that is no tensor of numbers"};
      as_declared(proto.graph().output(i), &t);
      expected.push_back(t);
    }
    tern_status status = TERN_ERR_UNSUPPORTED;
    std::string first;
    ModelDef model;
    std::vector<TensorData> given;
    for (int attempt = 0; attempt < 4 && status != TERN_OK; ++attempt) {
      ImportOptions options;
      given.clear();
      for (size_t i = 0; i < inputs.size(); ++i) {
        const bool small = inputs[i].shape.rank <= 1, integer = is_integer(inputs[i].dtype);
        const bool bind = attempt == 1 ? i > 0 && small && integer : attempt == 2 ? i > 0 && small : attempt == 3;
        // Some tests declare another shape than their data has.
        if (!bind && inputs[i].shape.rank > 0 && !fits(*declared[i], inputs[i].shape)) {
          options.input_shapes += inputs[i].name + "=";
          const std::string shape = to_string(inputs[i].shape);
          for (char c : shape.substr(1, shape.size() - 2)) options.input_shapes += c == ',' ? 'x' : c;
          options.input_shapes += ";";
        }
        if (bind) options.bound[inputs[i].name] = inputs[i];
        else given.push_back(inputs[i]);
      }
      model = ModelDef();
      status = import_onnx(file, options, &model);
      if (attempt == 0 && status != TERN_OK) first = thread_error().message;
    }
    if (status != TERN_OK) return {Outcome::refused, first};
    std::vector<TensorData> got;
    status = run_graph(model, model.signatures[0].graph, given, &got);
    if (status != TERN_OK) return {Outcome::wrong, std::string("evaluates with ") + thread_error().message};
    for (size_t i = 0; i < expected.size(); ++i) {
      std::string why;
      // The bfloat16 data was cut off, not rounded: it is off by one in the last place.
      const bool f16 = expected[i].dtype == TERN_DTYPE_F16, bf16 = expected[i].dtype == TERN_DTYPE_BF16;
      if (!close_to(got[i], expected[i], bf16 ? (rounds_each_step ? 1.0 / 64 : 8e-3) : 1e-3, f16 ? 1e-3 : 1e-6, &why))
        return {Outcome::wrong, "output " + std::to_string(i) + ": " + why};
    }
  }
  return {Outcome::passes, sets.empty() ? "no data" : ""};
}

std::string one_line(std::string s) {
  for (char& c : s)
    if (c == '\n' || c == '\t') c = ' ';
  return s.substr(0, 150);
}

struct Suite {
  const char* version;  // as in the README: "Of the N node tests of ONNX <version>, M pass"
  const char* list;
  // its bfloat16 results are those of a chain that rounds at each step: two units in the last place
  bool rounds_each_step;
};

// How many pass and how many there are, as the README says.
void counts_in_readme(const Suite& suite, int* passed, int* total) {
  const std::vector<uint8_t> bytes = read_file(TERN_ROOT "/README.md");
  const std::string text(bytes.begin(), bytes.end()),
      before = std::string(" node tests of ONNX ") + suite.version + ", ";
  const size_t at = text.find(before);
  ASSERT_NE(at, std::string::npos) << "the README lacks the count for ONNX " << suite.version;
  *passed = std::atoi(text.c_str() + at + before.size());
  *total = std::atoi(text.c_str() + text.rfind(' ', at - 1) + 1);
}

void run_suite(const Suite& suite, const fs::path& root) {
  const char* only = std::getenv("TERN_ONNX_ONLY");
  std::map<std::string, std::string> listed, refused;
  std::ifstream list(fs::path(TERN_ROOT "/tests/import") / suite.list);
  ASSERT_TRUE(list) << suite.list;
  for (std::string line; std::getline(list, line);)
    if (!line.empty() && line[0] != '#') listed[line.substr(0, line.find(' '))] = line;
  std::vector<fs::path> folders;
  for (const auto& e : fs::directory_iterator(root))
    if (e.is_directory() && (!only || e.path().filename().string().find(only) != std::string::npos))
      folders.push_back(e.path());
  std::sort(folders.begin(), folders.end());
  int passed = 0, wrong = 0;
  for (const fs::path& folder : folders) {
    const std::string name = folder.filename();
    const std::vector<uint8_t> file = read_file(folder / "model.onnx");
    onnx::ModelProto proto;
    ASSERT_TRUE(proto.ParseFromArray(file.data(), (int)file.size())) << name;
    const Result r = run_one(folder, proto, file, suite.rounds_each_step);
    if (r.outcome == Outcome::passes) ++passed;
    if (r.outcome == Outcome::refused) {
      refused[name] = one_line(r.reason);
      std::printf("refused: %s: %s\n", name.c_str(), refused[name].c_str());
    }
    if (r.outcome == Outcome::wrong) {
      ++wrong;
      ADD_FAILURE() << name << ": " << r.reason;
    }
    if (r.outcome != Outcome::refused && listed.count(name))
      ADD_FAILURE() << name << " is in the list of refused tests, but is supported: take it out";
    if (r.outcome == Outcome::refused && !listed.count(name))
      ADD_FAILURE() << name << " is refused, but not in the list: " << r.reason;
  }
  std::printf("ONNX %s: %d of %zu pass, %d wrong, %zu refused\n", suite.version, passed, folders.size(), wrong,
              refused.size());
  if (const char* write = std::getenv("TERN_ONNX_WRITE")) {
    std::ofstream out(fs::path(write) / suite.list);
    out << "# Node tests of ONNX " << suite.version
        << " that the importer refuses, and why. This list may only shrink.\n";
    for (const auto& [name, why] : refused) out << name << " " << why << "\n";
  }
  if (only) return;
  for (const auto& [name, line] : listed)
    EXPECT_TRUE(fs::is_directory(root / name)) << name << " is in the list, but there is no such test";
  int at_least = 0, total = 0;
  counts_in_readme(suite, &at_least, &total);
  EXPECT_GE(passed, at_least) << "the README says that more pass";
  EXPECT_EQ((int)folders.size(), total) << "the README says another number of tests";
}

}  // namespace

TEST(OnnxNodes, Debian) {
  const fs::path root = "/usr/share/libonnx-testdata/data/node";
  if (!fs::is_directory(root))
    GTEST_SKIP() << "SKIPPED: no ONNX node tests in " << root << " (Debian package libonnx-testdata)";
  run_suite({"1.12", "onnx_unsupported.txt", false}, root);
}

TEST(OnnxNodes, Package) {
  const char *cache = std::getenv("TERN_CACHE"), *home = std::getenv("HOME");
  const fs::path root = (cache ? fs::path(cache) : fs::path(home ? home : ".") / ".cache/tern") / "onnx-nodes-1.23.2";
  if (!fs::is_directory(root)) GTEST_SKIP() << "SKIPPED: no ONNX node tests in " << root << " (tests/setup test)";
  run_suite({"1.23", "onnx_unsupported_1.23.txt", true}, root);
}
