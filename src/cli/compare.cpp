// SPDX-License-Identifier: Apache-2.0
// tern compare: the same run on two backends, or of two models.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include "cli/inputs.h"

namespace tern::cli {
namespace {

double element(const tern_tensor* t, int64_t i) {
  const void* p = tern_tensor_const_data(t);
  switch (tern_tensor_dtype(t)) {
    case TERN_DTYPE_F32: return ((const float*)p)[i];
    case TERN_DTYPE_F64: return ((const double*)p)[i];
    case TERN_DTYPE_I8: return ((const int8_t*)p)[i];
    case TERN_DTYPE_U8:
    case TERN_DTYPE_BOOL: return ((const uint8_t*)p)[i];
    case TERN_DTYPE_I16: return ((const int16_t*)p)[i];
    case TERN_DTYPE_U16: return ((const uint16_t*)p)[i];
    case TERN_DTYPE_I32: return ((const int32_t*)p)[i];
    case TERN_DTYPE_U32: return ((const uint32_t*)p)[i];
    case TERN_DTYPE_I64: return (double)((const int64_t*)p)[i];
    case TERN_DTYPE_U64: return (double)((const uint64_t*)p)[i];
    case TERN_DTYPE_BF16: {
      const uint32_t bits = (uint32_t)((const uint16_t*)p)[i] << 16;
      float f;
      std::memcpy(&f, &bits, 4);
      return f;
    }
    case TERN_DTYPE_F16: {
      const uint16_t h = ((const uint16_t*)p)[i];
      const int exponent = h >> 10 & 31, mantissa = h & 1023;
      const double m = exponent == 31 ? (mantissa ? NAN : INFINITY)
                       : exponent     ? std::ldexp(1024 + mantissa, exponent - 25)
                                      : std::ldexp(mantissa, -24);
      return h >> 15 ? -m : m;
    }
    default: return 0;
  }
}

struct Difference {
  double largest = 0, scale = 0, mean = 0, ratio = 0;  // |a-b|, |a|
  int64_t at = 0;
};

Difference differ(const tern_tensor* a, const tern_tensor* b) {
  Difference d;
  const int64_t count = tern_tensor_num_elements(a);
  for (int64_t i = 0; i < count; ++i) {
    const double x = element(a, i), y = element(b, i);
    double e = x == y ? 0 : std::fabs(x - y);
    // no number on one side alone
    if (std::isnan(x) || std::isnan(y)) e = std::isnan(x) == std::isnan(y) ? 0 : INFINITY;
    else d.scale = std::max(d.scale, std::fabs(x));
    d.mean += e / (double)count;
    if (e > d.largest) d.largest = e, d.at = i;
  }
  d.ratio = d.largest == 0 ? 0 : d.scale > 0 ? d.largest / d.scale : INFINITY;
  return d;
}

// One of the two runs.
struct Side {
  std::string name;  // what it is called in the report
  const char* backend = nullptr;
  Handle<tern_model> model;
  int32_t signature = 0;
  Handle<tern_session> session;
  std::vector<Handle<const tern_tensor>> outputs;
};

int run_side(Side& side, uint32_t flags, const Tensors& inputs) {
  if (!side.session)
    if (const int code = make_session(side.model.get(), side.backend, flags, &side.session)) return code;
  progress("%s ...", side.name.c_str());
  const tern_status s = run_session(side.session.get(), side.model.get(), side.signature, inputs, &side.outputs);
  progress("%s", "");
  return s ? report(s, "on " + side.name) : kDone;
}

std::string index_text(const tern_tensor* t, int64_t at) {
  std::string text;
  for (int32_t a = tern_tensor_rank(t); a-- > 0; at /= tern_tensor_dim(t, a))
    text = std::to_string(at % tern_tensor_dim(t, a)) + (text.empty() ? "" : ",") + text;
  return "[" + text + "]";
}

void print_values(const Side* sides, const tern_tensor* x, const tern_tensor* y, const Difference& d) {
  std::printf("  at %s: %.9g (%s) and %.9g (%s); mean |a-b| %.3g\n", index_text(x, d.at).c_str(), element(x, d.at),
              sides[0].name.c_str(), element(y, d.at), sides[1].name.c_str(), d.mean);
}

// True if all outputs agree; prints a line for each.
bool compare_outputs(const Side* sides, double tolerance) {
  bool same = true;
  std::printf("%-24s %-20s %12s %12s %12s\n", "output", "", "max |a-b|", "max |a|", "ratio");
  for (size_t i = 0; i < sides[0].outputs.size(); ++i) {
    tern_tensor_info info = TERN_TENSOR_INFO_INIT;
    if (tern_model_get_tensor(sides[0].model.get(), sides[0].signature, TERN_ROLE_OUTPUT, (int32_t)i, &info) != TERN_OK)
      info.name = "";
    const tern_tensor *x = sides[0].outputs[i].get(), *y = sides[1].outputs[i].get();
    const std::string name = printable(info.name, 60);
    if (tensor_text(x) != tensor_text(y)) {
      std::printf("%-24s %s and %s  DIFFERS\n", name.c_str(), tensor_text(x).c_str(), tensor_text(y).c_str());
      same = false;
      continue;
    }
    const Difference d = differ(x, y);
    const bool good = d.ratio <= tolerance;
    same = same && good;
    std::printf("%-24s %-20s %12.3g %12.3g %12.3g%s\n", name.c_str(), tensor_text(x).c_str(), d.largest, d.scale,
                d.ratio, good ? "" : "  DIFFERS");
    if (!good) print_values(sides, x, y, d);
  }
  return same;
}

// Both sides have run with all values kept: prints the first node whose results differ.
void print_first_node(const Side* sides, double tolerance) {
  std::map<std::string, const tern_tensor*> other;
  tern_intermediate k = TERN_INTERMEDIATE_INIT;
  for (int32_t i = 0; tern_session_get_intermediate(sides[1].session.get(), sides[1].signature, i, &k) == TERN_OK; ++i)
    other[k.name] = k.tensor;
  int32_t nodes = 0;
  double largest = 0;
  for (int32_t i = 0; tern_session_get_intermediate(sides[0].session.get(), sides[0].signature, i, &k) == TERN_OK;
       ++i) {
    const auto match = other.find(k.name);
    if (match == other.end()) continue;
    const tern_tensor* y = match->second;
    const bool alike = tensor_text(k.tensor) == tensor_text(y);
    const Difference d = alike ? differ(k.tensor, y) : Difference{};
    if (alike && d.ratio <= tolerance) {
      ++nodes;
      largest = std::max(largest, d.ratio);
      continue;
    }
    std::printf("first node that differs: %s", k.op);
    if (*k.node) std::printf(" '%s'", printable(k.node).c_str());
    std::printf(", its result '%s' %s\n", printable(k.name).c_str(), tensor_text(k.tensor).c_str());
    if (!alike) {
      std::printf("  is %s on %s\n", tensor_text(y).c_str(), sides[1].name.c_str());
    } else {
      std::printf("  max |a-b| %.3g, max |a| %.3g, ratio %.3g\n", d.largest, d.scale, d.ratio);
      print_values(sides, k.tensor, y, d);
    }
    std::printf("  the %d results before it agree (largest ratio %.3g)\n", nodes, largest);
    return;
  }
  std::printf(
      "all %d results of single nodes agree (largest ratio %.3g): it differs only where they share memory, or from run "
      "to run\n",
      nodes, largest);
}

int run(const Arguments& a) {
  Handle<tern_context> context;
  Tensors inputs;
  double tolerance = 1e-3;
  Side sides[2];
  const char* other = a.value("--with");
  const auto backends = a.values("--backend");
  if (backends.size() > 2)
    return complain("compare: --backend is given %zu times, two is most", backends.size()), kUsage;
  if (!a.real("--tolerance", 0, 1e9, &tolerance)) return kUsage;
  sides[0].backend = backends.empty() ? "cpu" : backends[0].c_str();
  sides[1].backend = backends.size() == 2 ? backends[1].c_str() : other ? sides[0].backend : "reference";
  if (const int code = make_context(a, &context)) return code;
  for (int i = 0; i < 2; ++i) {
    const std::string& path = i == 1 && other ? other : a.words()[0];
    sides[i].name = other ? printable((path + " on " + sides[i].backend).c_str()) : sides[i].backend;
    if (const int code = load_model(context.get(), path, 0, &sides[i].model)) return code;
    if (const int code = find_signature(sides[i].model.get(), a, &sides[i].signature)) return code;
    if (const int code = make_session(sides[i].model.get(), sides[i].backend, 0, &sides[i].session)) return code;
  }
  if (tern_model_num_tensors(sides[0].model.get(), sides[0].signature, TERN_ROLE_OUTPUT) !=
      tern_model_num_tensors(sides[1].model.get(), sides[1].signature, TERN_ROLE_OUTPUT))
    return complain("compare: the two models have different numbers of outputs"), kFailed;
  const int code =
      a.values("--in").empty()
          ? make_inputs(a, context.get(), sides[0].model.get(), sides[0].signature, sides[0].session.get(), &inputs)
          : read_inputs(a, context.get(), sides[0].model.get(), sides[0].signature, &inputs);
  if (code) return code;
  for (Side& side : sides)
    if (const int failed = run_side(side, 0, inputs)) return failed;
  if (compare_outputs(sides, tolerance)) {
    std::printf("same within the tolerance\n");
    return kDone;
  }
  // Once more with every value kept; kernels and fusion are the same.
  for (Side& side : sides) {
    side.session.reset();
    if (const int failed = run_side(side, TERN_SESSION_KEEP_INTERMEDIATES, inputs)) return failed;
  }
  print_first_node(sides, tolerance);
  complain("the results differ");
  return kFailed;
}

}  // namespace

const Command& compare_command() {
  static const Command command = {
      "compare",
      "FILE",
      "finds the first node whose results differ between two backends",
      "Without --in the inputs are random numbers. Ends with 1 if an output differs by more than the tolerance.\n",
      "  tern compare ssd.tern --in picture.npy --backend cpu --backend reference\n"
      "  tern compare ssd.tern --with ssd-f16.tern\n",
      {{"--in", "NAME=X.npy", "an input, once for each"},
       {"--shape", "NAME=SHAPE", "without --in: sizes of an input whose dims vary"},
       {"--backend", "NAME", "given twice: the two backends, see tern devices; the default is cpu, and reference"},
       {"--with", "FILE", "another model with the same inputs instead of another backend"},
       {"--tolerance", "X", "largest max|a-b| / max|a|; the default is 0.001"},
       {"--signature", "NAME", "which signature; the default is the first"},
       {"--threads", "N", "threads; the default is all CPUs"}},
      1,
      1,
      run};
  return command;
}

}  // namespace tern::cli
