// SPDX-License-Identifier: Apache-2.0
// The table of one instruction set: built for TERN_ISA; TERN_ISA_BASE is the set that has the float kernels,
// TERN_ISA_INT8 the one that has those of 8-bit integers without tiles, TERN_ISA_F64 the one that has those of
// f64, TERN_ISA_PLAIN the one that has those without vectors.
#include "kernels/cpu/table.h"

#include "kernels/cpu/simd.h"

namespace tern::cpu {
namespace TERN_ISA {
// A table that names a capability (base/capability.h) is in the build when that is.
template <class Type>
consteval bool is_wanted() {
  if constexpr (requires { Type::capability; }) return has_capability(Type::capability);
  return true;
}
}  // namespace TERN_ISA
#define TERN_DECLARE(Type, name) extern const Type name##_kernels;
namespace TERN_ISA_BASE {
TERN_CPU_KERNELS(TERN_DECLARE)
#define TERN_DECLARE_ENCODING(name) extern const EncodedKernels enc_##name##_kernels;
#define TERN_SKIP(name)
TERN_ENCODING_KERNELS(TERN_DECLARE_ENCODING, TERN_SKIP)
}  // namespace TERN_ISA_BASE
namespace TERN_ISA_INT8 {
TERN_CPU_INT8_KERNELS(TERN_DECLARE)
}  // namespace TERN_ISA_INT8
namespace TERN_ISA_F64 {
TERN_CPU_F64_KERNELS(TERN_DECLARE)
}  // namespace TERN_ISA_F64
namespace TERN_ISA_PLAIN {
TERN_CPU_PLAIN_KERNELS(TERN_DECLARE)
}  // namespace TERN_ISA_PLAIN
namespace TERN_ISA {
TERN_CPU_TILE_KERNELS(TERN_DECLARE)

#define TERN_STRING(x) #x
#define TERN_NAME(x) TERN_STRING(x)
#define TERN_FLOAT_ENTRY(Type, name) is_wanted<Type>() ? &TERN_ISA_BASE::name##_kernels : nullptr,
#define TERN_INT8_ENTRY(Type, name) &TERN_ISA_INT8::name##_kernels,
#define TERN_F64_ENTRY(Type, name) is_wanted<Type>() ? &TERN_ISA_F64::name##_kernels : nullptr,
#define TERN_PLAIN_ENTRY(Type, name) is_wanted<Type>() ? &TERN_ISA_PLAIN::name##_kernels : nullptr,
#define TERN_TILE_ENTRY(Type, name) &TERN_ISA::name##_kernels,
#define TERN_OWN_ENCODING(name) &TERN_ISA_BASE::enc_##name##_kernels,
#define TERN_ENCODING_BY_LOOPS(name) &TERN_ISA_BASE::encoded_kernels.by_loops,
extern const Kernels table;
const Kernels table = {
    TERN_NAME(TERN_ISA), kLanes * 4,
    TERN_CPU_KERNELS(TERN_FLOAT_ENTRY) TERN_CPU_INT8_KERNELS(TERN_INT8_ENTRY) TERN_CPU_TILE_KERNELS(TERN_TILE_ENTRY)
        TERN_CPU_F64_KERNELS(TERN_F64_ENTRY)
            TERN_CPU_PLAIN_KERNELS(TERN_PLAIN_ENTRY){TERN_ENCODING_KERNELS(TERN_OWN_ENCODING, TERN_ENCODING_BY_LOOPS)}};
}  // namespace TERN_ISA
}  // namespace tern::cpu
