// SPDX-License-Identifier: Apache-2.0
// Compares backends/onednn/dnnl_api.h with oneDNN's own headers: numbers, structs, and what each function takes and
// returns.
// Does not compile where they differ.
#include <oneapi/dnnl/dnnl.h>

#include <type_traits>

#include "backends/onednn/dnnl_api.h"

namespace tern::onednn {
namespace {

static_assert(kMaxDims == DNNL_MAX_NDIMS && sizeof(Dims) == sizeof(dnnl_dims_t));
static_assert(kOk == dnnl_success && kOutOfMemory == dnnl_out_of_memory && kUnimplemented == dnnl_unimplemented);
static_assert(kCpu == dnnl_cpu && kInOrder == dnnl_stream_in_order && kF32 == dnnl_f32 &&
              kAnyLayout == dnnl_format_tag_any);
static_assert(kForwardInference == dnnl_forward_inference && kDirect == dnnl_convolution_direct);
static_assert(kRelu == dnnl_eltwise_relu && kTanh == dnnl_eltwise_tanh && kHardSigmoid == dnnl_eltwise_hardsigmoid &&
              kLogistic == dnnl_eltwise_logistic);
static_assert(kGeluTanh == dnnl_eltwise_gelu_tanh && kGeluErf == dnnl_eltwise_gelu_erf &&
              kSwish == dnnl_eltwise_swish && kClip == dnnl_eltwise_clip);
static_assert(kHardSwish == dnnl_eltwise_hardswish && kBinaryAdd == dnnl_binary_add &&
              kScratchpadOfUser == dnnl_scratchpad_mode_user);
static_assert(kQueryImplementation == dnnl_query_impl_info_str && kQueryWeights == dnnl_query_weights_md &&
              kQueryScratchpad == dnnl_query_scratchpad_md);
static_assert(kSource == DNNL_ARG_SRC && kSource1 == DNNL_ARG_SRC_1 && kTarget == DNNL_ARG_DST &&
              kWeights == DNNL_ARG_WEIGHTS && kBias == DNNL_ARG_BIAS);
static_assert(kScratchpad == DNNL_ARG_SCRATCHPAD && post_op_argument(0) == DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) &&
              post_op_argument(3) == DNNL_ARG_ATTR_MULTIPLE_POST_OP(3));
static_assert(kSequential == DNNL_RUNTIME_SEQ && kOpenMp == DNNL_RUNTIME_OMP);
static_assert(sizeof(Version) == sizeof(dnnl_version_t) &&
              offsetof(Version, cpu_runtime) == offsetof(dnnl_version_t, cpu_runtime));
static_assert(sizeof(Argument) == sizeof(dnnl_exec_arg_t) &&
              offsetof(Argument, memory) == offsetof(dnnl_exec_arg_t, memory));

// Passed the same way: opaque pointers stay what they are, enums are ints.
template <class Ours, class Theirs>
constexpr bool same_value() {
  if constexpr (std::is_enum_v<Theirs>) return std::is_same_v<Ours, int> && sizeof(Theirs) == sizeof(int);
  else if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using A = std::remove_pointer_t<Ours>;
    using B = std::remove_pointer_t<Theirs>;
    return std::is_const_v<A> == std::is_const_v<B> &&
           (std::is_same_v<A, B> || (std::is_pointer_v<A> && std::is_pointer_v<B>) ||
            (std::is_class_v<A> && std::is_class_v<B>) || std::is_void_v<A>);
  } else return std::is_same_v<Ours, Theirs>;
}
template <class R, class... A, class R2, class... B>
constexpr bool same(R (*)(A...), R2 (*)(B...)) {
  if constexpr (sizeof...(A) != sizeof...(B)) return false;
  else return same_value<R, R2>() && (same_value<A, B>() && ...);
}

// The name of a function of ours is theirs without dnnl_.
#define TERN_SAME(name) static_assert(same(decltype(Api::name){}, decltype(&dnnl_##name){}))
TERN_SAME(version);
TERN_SAME(engine_create);
TERN_SAME(engine_destroy);
TERN_SAME(stream_create);
TERN_SAME(stream_destroy);
TERN_SAME(memory_desc_create_with_strides);
TERN_SAME(memory_desc_create_with_tag);
TERN_SAME(memory_desc_destroy);
TERN_SAME(memory_desc_get_size);
TERN_SAME(memory_desc_equal);
TERN_SAME(memory_create);
TERN_SAME(memory_set_data_handle);
TERN_SAME(memory_destroy);
TERN_SAME(post_ops_create);
TERN_SAME(post_ops_destroy);
TERN_SAME(post_ops_append_eltwise);
TERN_SAME(post_ops_append_binary);
TERN_SAME(post_ops_append_prelu);
TERN_SAME(primitive_attr_create);
TERN_SAME(primitive_attr_destroy);
TERN_SAME(primitive_attr_set_post_ops);
TERN_SAME(primitive_attr_set_scratchpad_mode);
TERN_SAME(convolution_forward_primitive_desc_create);
TERN_SAME(matmul_primitive_desc_create);
TERN_SAME(reorder_primitive_desc_create);
TERN_SAME(primitive_desc_query_md);
TERN_SAME(primitive_desc_query);
TERN_SAME(primitive_desc_destroy);
TERN_SAME(primitive_create);
TERN_SAME(primitive_execute);
TERN_SAME(primitive_destroy);

}  // namespace
}  // namespace tern::onednn
