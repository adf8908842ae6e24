// SPDX-License-Identifier: Apache-2.0
// tern compare: the same run on two backends.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "cli/inputs.h"

namespace tern::cli {
namespace {

double element(const tern_tensor* t, int64_t i) {
  const void* p = tern_tensor_const_data(t);
  switch (tern_tensor_dtype(t)) {
    case TERN_DTYPE_F32: return ((const float*)p)[i];
    case TERN_DTYPE_F64: return ((const double*)p)[i];
    case TERN_DTYPE_I8: return ((const int8_t*)p)[i];
    case TERN_DTYPE_U8: case TERN_DTYPE_BOOL: return ((const uint8_t*)p)[i];
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
      const double m = exponent == 31 ? (mantissa ? NAN : INFINITY) : exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
      return h >> 15 ? -m : m;
    }
    default: return 0;
  }
}

struct Difference {
  double largest = 0, scale = 0, mean = 0;  // |a-b|, |a|
  int64_t at = 0, count = 0, unequal_nans = 0;
};

Difference differ(const tern_tensor* a, const tern_tensor* b) {
  Difference d;
  d.count = tern_tensor_num_elements(a);
  for (int64_t i = 0; i < d.count; ++i) {
    const double x = element(a, i), y = element(b, i);
    if (std::isnan(x) || std::isnan(y)) {
      d.unequal_nans += std::isnan(x) != std::isnan(y);
      continue;
    }
    const double e = x == y ? 0 : std::fabs(x - y);
    d.scale = std::max(d.scale, std::fabs(x));
    d.mean += e / (double)d.count;
    if (e > d.largest) d.largest = e, d.at = i;
  }
  return d;
}

int run(const Arguments& a) {
  Handle<tern_context> context;
  Handle<tern_model> model;
  int32_t signature = 0;
  Tensors inputs;
  double tolerance = 1e-3;
  if (!a.real("--tolerance", 0, 1e9, &tolerance)) return kUsage;
  const char* names[2] = {a.value("--backend-a"), a.value("--backend-b")};
  const auto both = a.values("--backend");
  for (size_t i = 0; i < both.size() && i < 2; ++i)
    if (!names[i]) names[i] = both[i].c_str();
  for (int i = 0; i < 2; ++i)
    if (!names[i]) names[i] = "cpu";
  if (const int code = make_context(a, &context)) return code;
  if (const int code = load_model(context.get(), a.words()[0], 0, &model)) return code;
  if (const int code = find_signature(model.get(), a, &signature)) return code;
  Handle<tern_session> sessions[2];
  std::vector<Handle<const tern_tensor>> outputs[2];
  for (int i = 0; i < 2; ++i)
    if (const int code = make_session(model.get(), names[i], i == 1 ? TERN_SESSION_DETERMINISTIC : 0, &sessions[i])) return code;
  const int code = a.values("--in").empty() ? make_inputs(a, context.get(), model.get(), signature, sessions[0].get(), &inputs)
                                            : read_inputs(a, context.get(), model.get(), signature, &inputs);
  if (code) return code;
  for (int i = 0; i < 2; ++i)
    if (const tern_status s = run_session(sessions[i].get(), model.get(), signature, inputs, &outputs[i])) return report(s, std::string("on ") + names[i]);
  bool same = true;
  std::printf("%-24s %-20s %12s %12s %12s\n", "output", "", "max |a-b|", "max |a|", "ratio");
  for (size_t i = 0; i < outputs[0].size(); ++i) {
    tern_tensor_info info = TERN_TENSOR_INFO_INIT;
    if (const tern_status s = tern_model_get_tensor(model.get(), signature, TERN_ROLE_OUTPUT, (int32_t)i, &info)) return report(s, a.words()[0]);
    const tern_tensor *x = outputs[0][i].get(), *y = outputs[1][i].get();
    if (tensor_text(x) != tensor_text(y)) {
      std::printf("%-24s %s and %s\n", printable(info.name, 60).c_str(), tensor_text(x).c_str(), tensor_text(y).c_str());
      same = false;
      continue;
    }
    const Difference d = differ(x, y);
    const double ratio = d.largest == 0 ? 0 : d.scale > 0 ? d.largest / d.scale : INFINITY;
    const bool good = ratio <= tolerance && d.unequal_nans == 0;
    same = same && good;
    std::printf("%-24s %-20s %12.3g %12.3g %12.3g%s", printable(info.name, 60).c_str(), tensor_text(x).c_str(), d.largest, d.scale, ratio, good ? "\n" : "  DIFFERS");
    if (!good) std::printf(" at element %lld: %.9g and %.9g; %lld where only one is a number\n", (long long)d.at, element(x, d.at), element(y, d.at), (long long)d.unequal_nans);
  }
  std::printf("%s\n", same ? "same within the tolerance" : "different");
  return same ? kDone : kFailed;
}

}  // namespace

const Command& compare_command() {
  static const Command command = {
      "compare",
      "FILE",
      "runs a model on two backends and compares the outputs",
      "Without --in the inputs are random numbers. Ends with 1 if an output differs by more than the tolerance.\n",
      "  tern compare ssd.tern --in picture.npy --backend-a cpu --backend-b vulkan\n",
      {{"--in", "NAME=X.npy", "an input, once for each"},
       {"--shape", "NAME=SHAPE", "without --in: sizes of an input whose dims vary"},
       {"--backend", "NAME", "given twice: the two backends"},
       {"--backend-a", "NAME", "the first; the default is cpu"},
       {"--backend-b", "NAME", "the second; the default is cpu, without machine-dependent plug-ins"},
       {"--tolerance", "X", "largest max|a-b| / max|a|; the default is 0.001"},
       {"--signature", "NAME", "which signature; the default is the first"},
       {"--threads", "N", "threads; the default is all CPUs"}},
      1,
      1,
      run};
  return command;
}

}  // namespace tern::cli
