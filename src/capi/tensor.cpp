// SPDX-License-Identifier: Apache-2.0
#include "base/checked.h"
#include "capi/handle.h"

using namespace tern;
using namespace tern::capi;

tern_status tern::capi::read_shape(const int64_t* dims, int32_t rank, Shape* shape) {
  if (rank < 0 || rank > kMaxRank)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "rank is %d, allowed is 0 to %d", rank, kMaxRank);
  if (rank > 0) TERN_CHECK_NOT_NULL(dims);
  Shape s(std::span<const int64_t>(dims, (size_t)rank));
  TERN_TRY(check_shape(s, "tensor"));
  *shape = s;
  return TERN_OK;
}

extern "C" {

tern_status tern_tensor_create(tern_context* context, int32_t dtype, const int64_t* dims, int32_t rank,
                               tern_tensor** tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(tensor);
    Shape shape;
    TERN_TRY(read_shape(dims, rank, &shape));
    Ref<Tensor> t;
    TERN_TRY(Tensor::create(*to_object(context), dtype, shape, &t));
    *tensor = to_handle(t.detach());
    return TERN_OK;
  });
}

tern_status tern_tensor_wrap(tern_context* context, int32_t dtype, const int64_t* dims, int32_t rank, void* data,
                             size_t bytes, void (*release)(void* release_user), void* release_user,
                             tern_tensor** tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(tensor);
    Shape shape;
    TERN_TRY(read_shape(dims, rank, &shape));
    Ref<Tensor> t;
    TERN_TRY(Tensor::wrap(*to_object(context), dtype, shape, data, bytes, release, release_user, &t));
    *tensor = to_handle(t.detach());
    return TERN_OK;
  });
}

tern_status tern_tensor_view(tern_tensor* tensor, int64_t begin, int64_t end, tern_tensor** view) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(tensor);
    TERN_CHECK_NOT_NULL(view);
    Tensor& base = *to_object(tensor);
    if (base.shape().rank == 0) return TERN_FAIL(TERN_ERR_SHAPE, "a tensor of rank 0 has no rows");
    if (begin < 0 || end < begin || end > base.shape()[0])
      return TERN_FAIL(TERN_ERR_SHAPE, "rows %" PRId64 " to %" PRId64 " lie outside the tensor %s", begin, end,
                       to_string(base.shape()).c_str());
    const uint64_t row = base.shape()[0] ? base.bytes() / (uint64_t)base.shape()[0] : 0;
    Shape shape = base.shape();
    shape[0] = end - begin;
    Ref<Tensor> t;
    TERN_TRY(Tensor::view(base, shape, row * (uint64_t)begin, &t));
    *view = to_handle(t.detach());
    return TERN_OK;
  });
}

tern_status tern_tensor_reshape(tern_tensor* tensor, const int64_t* dims, int32_t rank, tern_tensor** view) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(tensor);
    TERN_CHECK_NOT_NULL(view);
    Tensor& base = *to_object(tensor);
    Shape shape;
    TERN_TRY(read_shape(dims, rank, &shape));
    if (shape.elements() != base.shape().elements())
      return TERN_FAIL(TERN_ERR_SHAPE, "%s has another number of elements than the tensor %s", to_string(shape).c_str(),
                       to_string(base.shape()).c_str());
    Ref<Tensor> t;
    TERN_TRY(Tensor::view(base, shape, 0, &t));
    *view = to_handle(t.detach());
    return TERN_OK;
  });
}

void tern_tensor_retain(const tern_tensor* tensor) noexcept {
  if (tensor) to_object(tensor)->retain();
}

void tern_tensor_release(const tern_tensor* tensor) noexcept {
  if (tensor) to_object(tensor)->release();
}

int32_t tern_tensor_dtype(const tern_tensor* tensor) noexcept {
  return tensor ? to_object(tensor)->dtype() : TERN_DTYPE_NONE;
}

int32_t tern_tensor_rank(const tern_tensor* tensor) noexcept { return tensor ? to_object(tensor)->shape().rank : -1; }

int64_t tern_tensor_dim(const tern_tensor* tensor, int32_t axis) noexcept {
  return tensor && axis >= 0 && axis < to_object(tensor)->shape().rank ? to_object(tensor)->shape()[axis] : -1;
}

int64_t tern_tensor_num_elements(const tern_tensor* tensor) noexcept {
  return tensor ? to_object(tensor)->shape().elements() : 0;
}

size_t tern_tensor_bytes(const tern_tensor* tensor) noexcept { return tensor ? (size_t)to_object(tensor)->bytes() : 0; }

void* tern_tensor_data(tern_tensor* tensor) noexcept { return tensor ? to_object(tensor)->data() : nullptr; }

const void* tern_tensor_const_data(const tern_tensor* tensor) noexcept {
  return tensor ? to_object(tensor)->data() : nullptr;
}
}
