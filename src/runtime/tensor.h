// SPDX-License-Identifier: Apache-2.0
// Tensors in host memory: what stands behind tern_tensor.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"
#include "runtime/context.h"

namespace tern {

class Tensor : public RefCounted<Tensor> {
 public:
  static tern_status create(Context& context, DType dtype, const Shape& shape, Ref<Tensor>* out);
  static tern_status wrap(Context& context, DType dtype, const Shape& shape, void* data, uint64_t bytes,
                          void (*release)(void*), void* release_user, Ref<Tensor>* out);
  // Shares memory with `base` and keeps it alive.
  static tern_status view(Tensor& base, const Shape& shape, uint64_t byte_offset, Ref<Tensor>* out);
  ~Tensor();

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  uint64_t bytes() const { return bytes_; }
  void* data() const { return data_; }

 private:
  Tensor() = default;
  DType dtype_ = TERN_DTYPE_NONE;
  Shape shape_;
  uint64_t bytes_ = 0;
  void* data_ = nullptr;
  Ref<Context> context_;  // before the block, which uses its allocator to the end
  Block block_;
  Ref<Tensor> base_;
  void (*release_)(void*) = nullptr;
  void* release_user_ = nullptr;
};

// Bytes of a plain tensor; fails on a bad dtype, a negative dim or overflow.
tern_status tensor_bytes(DType dtype, const Shape& shape, uint64_t* bytes);

}  // namespace tern
