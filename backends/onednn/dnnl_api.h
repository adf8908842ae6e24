// SPDX-License-Identifier: Apache-2.0
// The part of oneDNN's C API 3.x that is used: types, numbers and functions of its binary interface, which stay the
// same throughout version 3. The library is opened at run time; its headers are needed by a test only, which compares
// them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/status.h"

struct dnnl_engine;
struct dnnl_stream;
struct dnnl_memory_desc;
struct dnnl_memory;
struct dnnl_primitive_attr;
struct dnnl_post_ops;
struct dnnl_primitive_desc;
struct dnnl_primitive;

namespace tern::onednn {

constexpr int kMaxDims = 12;
using Dims = int64_t[kMaxDims];

constexpr int kOk = 0, kOutOfMemory = 1, kUnimplemented = 3;  // results
constexpr int kCpu = 1;                                       // engines
constexpr unsigned kInOrder = 1;                              // streams
constexpr int kF32 = 3, kAnyLayout = 1;                       // descriptors of memory
constexpr int kForwardInference = 96, kDirect = 1;            // convolutions
constexpr int kRelu = 32, kTanh = 33, kHardSigmoid = 40, kLogistic = 41, kGeluTanh = 43, kSwish = 44, kClip = 46,
              kGeluErf = 49, kHardSwish = 52;
constexpr int kBinaryAdd = 131056;
constexpr int kScratchpadOfUser = 1;
constexpr int kQueryImplementation = 8, kQueryWeights = 131, kQueryScratchpad = 136;
constexpr int kSource = 1, kTarget = 17, kWeights = 33, kBias = 41, kScratchpad = 80, kSource1 = 2;  // arguments
constexpr int post_op_argument(int i) { return 32768 * (i + 1); }
constexpr unsigned kSequential = 1, kOpenMp = 2;  // how the library runs in parallel

struct Version {
  int major, minor, patch;
  const char* hash;
  unsigned cpu_runtime, gpu_runtime;
};

struct Argument {
  int index;
  dnnl_memory* memory;
};

// The functions, in the order of their names in dnnl_api.cpp. Those that return int return a result.
struct Api {
  const Version* (*version)();
  int (*engine_create)(dnnl_engine**, int kind, size_t index);
  int (*engine_destroy)(dnnl_engine*);
  int (*stream_create)(dnnl_stream**, dnnl_engine*, unsigned flags);
  int (*stream_destroy)(dnnl_stream*);
  int (*memory_desc_create_with_strides)(dnnl_memory_desc**, int num_dims, const Dims dims, int type,
                                         const Dims strides);
  int (*memory_desc_create_with_tag)(dnnl_memory_desc**, int num_dims, const Dims dims, int type, int tag);
  int (*memory_desc_destroy)(dnnl_memory_desc*);
  size_t (*memory_desc_get_size)(const dnnl_memory_desc*);
  int (*memory_desc_equal)(const dnnl_memory_desc*, const dnnl_memory_desc*);
  int (*memory_create)(dnnl_memory**, const dnnl_memory_desc*, dnnl_engine*, void* data);
  int (*memory_set_data_handle)(dnnl_memory*, void* data);
  int (*memory_destroy)(dnnl_memory*);
  int (*post_ops_create)(dnnl_post_ops**);
  int (*post_ops_destroy)(dnnl_post_ops*);
  int (*post_ops_append_eltwise)(dnnl_post_ops*, int algorithm, float alpha, float beta);
  int (*post_ops_append_binary)(dnnl_post_ops*, int algorithm, const dnnl_memory_desc* source1);
  int (*post_ops_append_prelu)(dnnl_post_ops*, int mask);
  int (*primitive_attr_create)(dnnl_primitive_attr**);
  int (*primitive_attr_destroy)(dnnl_primitive_attr*);
  int (*primitive_attr_set_post_ops)(dnnl_primitive_attr*, const dnnl_post_ops*);
  int (*primitive_attr_set_scratchpad_mode)(dnnl_primitive_attr*, int mode);
  int (*convolution_forward_primitive_desc_create)(dnnl_primitive_desc**, dnnl_engine*, int propagation, int algorithm,
                                                   const dnnl_memory_desc* source, const dnnl_memory_desc* weights,
                                                   const dnnl_memory_desc* bias, const dnnl_memory_desc* target,
                                                   const Dims strides, const Dims dilations, const Dims pads_before,
                                                   const Dims pads_after, const dnnl_primitive_attr*);
  int (*matmul_primitive_desc_create)(dnnl_primitive_desc**, dnnl_engine*, const dnnl_memory_desc* source,
                                      const dnnl_memory_desc* weights, const dnnl_memory_desc* bias,
                                      const dnnl_memory_desc* target, const dnnl_primitive_attr*);
  int (*reorder_primitive_desc_create)(dnnl_primitive_desc**, const dnnl_memory_desc* source, dnnl_engine*,
                                       const dnnl_memory_desc* target, dnnl_engine*, const dnnl_primitive_attr*);
  const dnnl_memory_desc* (*primitive_desc_query_md)(const dnnl_primitive_desc*, int what, int index);
  int (*primitive_desc_query)(const dnnl_primitive_desc*, int what, int index, void* result);
  int (*primitive_desc_destroy)(dnnl_primitive_desc*);
  int (*primitive_create)(dnnl_primitive**, const dnnl_primitive_desc*);
  int (*primitive_execute)(const dnnl_primitive*, dnnl_stream*, int num_arguments, const Argument*);
  int (*primitive_destroy)(dnnl_primitive*);
};

// Opens the library at the first call that finds one: the file named by the environment variable TERN_ONEDNN_LIBRARY,
// or libdnnl.so.3 where the system looks for libraries. It stays open to the end of the process. Any thread.
// TERN_ERR_UNSUPPORTED: there is none of version 3 that can be used; the message says what to do.
tern_status open_library();
// Only after open_library has succeeded.
const Api& api();

// While it lives, oneDNN works on the calling thread alone: parallel work is divided by the context's own threads.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = 0;
};

// TERN_OK, or the failure of a call as a status. `what`: what was being done.
tern_status check(int result, const char* what);

// An object of the library that is destroyed with its owner.
template <class T, int (*Api::*destroy)(T*)>
class Handle {
 public:
  Handle() = default;
  Handle(Handle&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  Handle& operator=(Handle&& o) noexcept {
    T* p = o.p_;
    o.p_ = nullptr;
    reset();
    p_ = p;
    return *this;
  }
  ~Handle() { reset(); }
  T* get() const { return p_; }
  T** out() { return reset(), &p_; }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  void reset() {
    if (p_) (void)(api().*destroy)(p_);
    p_ = nullptr;
  }
  T* p_ = nullptr;
};
using Engine = Handle<dnnl_engine, &Api::engine_destroy>;
using Stream = Handle<dnnl_stream, &Api::stream_destroy>;
using MemoryDesc = Handle<dnnl_memory_desc, &Api::memory_desc_destroy>;
using Memory = Handle<dnnl_memory, &Api::memory_destroy>;
using PostOps = Handle<dnnl_post_ops, &Api::post_ops_destroy>;
using PrimitiveAttr = Handle<dnnl_primitive_attr, &Api::primitive_attr_destroy>;
using PrimitiveDesc = Handle<dnnl_primitive_desc, &Api::primitive_desc_destroy>;
using Primitive = Handle<dnnl_primitive, &Api::primitive_destroy>;

}  // namespace tern::onednn
