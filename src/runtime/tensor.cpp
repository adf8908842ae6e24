// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor.h"

#include "base/checked.h"
#include "base/encoding.h"

namespace tern {

tern_status tensor_bytes(DType dtype, const Shape& shape, uint64_t* bytes) {
  if (!is_dtype(dtype)) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%d is no element type", dtype);
  return encoded_bytes(Encoding::plain, dtype, shape, bytes);
}

tern_status Tensor::create(Context& context, DType dtype, const Shape& shape, Ref<Tensor>* out) {
  uint64_t bytes;
  TERN_TRY(tensor_bytes(dtype, shape, &bytes));
  Ref<Tensor> t = Ref<Tensor>::adopt(new Tensor());
  t->context_ = Ref<Context>::share(&context);
  TERN_TRY(t->block_.allocate_zeroed(context.allocator(), bytes));
  t->dtype_ = dtype;
  t->shape_ = shape;
  t->bytes_ = bytes;
  t->data_ = t->block_.data();
  *out = std::move(t);
  return TERN_OK;
}

tern_status Tensor::wrap(Context& context, DType dtype, const Shape& shape, void* data, uint64_t bytes,
                         void (*release)(void*), void* release_user, Ref<Tensor>* out) {
  uint64_t needed;
  TERN_TRY(tensor_bytes(dtype, shape, &needed));
  if (needed > bytes)
    return TERN_FAIL(TERN_ERR_SHAPE, "shape %s of %s needs %" PRIu64 " bytes, the memory has %" PRIu64,
                     to_string(shape).c_str(), dtype_name(dtype), needed, bytes);
  if (needed && !data) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the memory is NULL");
  if ((uintptr_t)data % dtype_size(dtype))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the memory is not aligned to the %zu bytes of %s", dtype_size(dtype),
                     dtype_name(dtype));
  Ref<Tensor> t = Ref<Tensor>::adopt(new Tensor());
  t->context_ = Ref<Context>::share(&context);
  t->dtype_ = dtype;
  t->shape_ = shape;
  t->bytes_ = needed;
  t->data_ = data;
  t->release_ = release;
  t->release_user_ = release_user;
  *out = std::move(t);
  return TERN_OK;
}

tern_status Tensor::view(Tensor& base, const Shape& shape, uint64_t byte_offset, Ref<Tensor>* out) {
  uint64_t bytes;
  TERN_TRY(tensor_bytes(base.dtype_, shape, &bytes));
  if (!range_within(byte_offset, bytes, base.bytes_))
    return TERN_FAIL(TERN_ERR_SHAPE, "the view %s lies outside the tensor %s", to_string(shape).c_str(),
                     to_string(base.shape_).c_str());
  Ref<Tensor> t = Ref<Tensor>::adopt(new Tensor());
  t->context_ = base.context_;
  t->base_ = Ref<Tensor>::share(&base);
  t->dtype_ = base.dtype_;
  t->shape_ = shape;
  t->bytes_ = bytes;
  t->data_ = (char*)base.data_ + byte_offset;
  *out = std::move(t);
  return TERN_OK;
}

Tensor::~Tensor() {
  if (release_) release_(release_user_);
}

}  // namespace tern
