// SPDX-License-Identifier: Apache-2.0
// The loops of update rules over storage (ops/update.h).
#pragma once
#include "kernels/cpu/kernel.h"
#include "ops/update.h"

namespace tern::cpu {

constexpr int kMostOperands = 4;  // parameter, moments, gradient
constexpr int64_t kChunk = 256;   // elements that a rule sees at a time
constexpr int64_t kTile = 16;     // rows and columns of them, where orders differ
constexpr int64_t kUnit = 4096;
static_assert(kTile * kTile == kChunk);

// What a rule multiplies by, in this run.
struct Factors {
  float a[8];
};

struct Operand {
  char* data = nullptr;
  DType dtype = TERN_DTYPE_F32;
  bool ordered = false;  // as `order` says; else element i lies at place i
};

// Goes through the places of storage where all operands lie alike; else through tiles of a matrix.
struct UpdateArgs {
  Operand x[kMostOperands];
  int32_t count = 0, written = 0;  // operands; the first are written
  const float* rate = nullptr;
  const int64_t* step = nullptr;  // NULL: none
  const float* factor = nullptr;  // NULL: 1
  const Attributes* attributes = nullptr;
  int64_t places = 0;
  const EncodingInfo* order = nullptr;  // NULL: all lie alike
  MatrixSize size;                      // else
  Factors (*prepare)(const UpdateArgs& a) = nullptr;
  void (*rule)(const Factors& f, float* const* x, int64_t n) = nullptr;

  template <class T>
  const T& attrs() const {
    return *reinterpret_cast<const T*>(attributes->bytes);
  }
};

// KernelFn; units: of kUnit places, and of kTile rows. Scratch: kUpdateScratch bytes.
void run_update(const void* args, int64_t begin, int64_t end, void* scratch);
void run_update_tiles(const void* args, int64_t begin, int64_t end, void* scratch);
inline constexpr size_t kUpdateScratch = sizeof(float) * kChunk * kMostOperands;

struct UpdateRule {
  Factors (*prepare)(const UpdateArgs& a);
  void (*rule)(const Factors& f, float* const* x, int64_t n);
};
extern const UpdateRule momentum_update_rule, adamw_update_rule, lion_update_rule;

}  // namespace tern::cpu
