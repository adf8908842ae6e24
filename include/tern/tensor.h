/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in host memory: row-major (last dimension contiguous), reference-counted. C99. */
#ifndef TERN_TENSOR_H
#define TERN_TENSOR_H

#include "tern/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_tensor tern_tensor;

/* Makes a tensor of zeros in memory of the context's allocator (64-byte aligned).
 * dims    [rank], each >= 0; rank 0..8 (0 = a scalar); NULL allowed for rank 0.
 * Errors  TERN_ERR_INVALID_ARGUMENT, TERN_ERR_SHAPE (negative dim, size overflows), TERN_ERR_MEMORY. */
TERN_API tern_status tern_tensor_create(tern_context* context, int32_t dtype, const int64_t* dims, int32_t rank,
                                        tern_tensor** tensor) TERN_NOEXCEPT;

/* Wraps memory of the caller, who keeps it valid and unmoved until the last reference is released.
 * data     aligned to the element size; NULL only if the tensor has no element.
 * bytes    size of the memory; at least elements * element size.
 * release  called once with release_user when the tensor goes, by the thread that released last; NULL = nothing to
 *          do. */
TERN_API tern_status tern_tensor_wrap(tern_context* context, int32_t dtype, const int64_t* dims, int32_t rank,
                                      void* data, size_t bytes, void (*release)(void* release_user), void* release_user,
                                      tern_tensor** tensor) TERN_NOEXCEPT;

/* A view of rows [begin, end) of the first dimension; shares memory and keeps `tensor` alive.
 * Errors: TERN_ERR_SHAPE for rank 0 or a range outside the tensor. */
TERN_API tern_status tern_tensor_view(tern_tensor* tensor, int64_t begin, int64_t end,
                                      tern_tensor** view) TERN_NOEXCEPT;

/* A view with other dims and the same number of elements. */
TERN_API tern_status tern_tensor_reshape(tern_tensor* tensor, const int64_t* dims, int32_t rank,
                                         tern_tensor** view) TERN_NOEXCEPT;

TERN_API void tern_tensor_retain(const tern_tensor* tensor) TERN_NOEXCEPT;
TERN_API void tern_tensor_release(const tern_tensor* tensor) TERN_NOEXCEPT;

TERN_API int32_t tern_tensor_dtype(const tern_tensor* tensor) TERN_NOEXCEPT;
TERN_API int32_t tern_tensor_rank(const tern_tensor* tensor) TERN_NOEXCEPT;
/* Size of a dimension; -1 if axis is outside [0, rank). */
TERN_API int64_t tern_tensor_dim(const tern_tensor* tensor, int32_t axis) TERN_NOEXCEPT;
TERN_API int64_t tern_tensor_num_elements(const tern_tensor* tensor) TERN_NOEXCEPT;
TERN_API size_t tern_tensor_bytes(const tern_tensor* tensor) TERN_NOEXCEPT;
/* First element. Borrowed: valid while a reference is held. Do not write to a tensor that a run is using. */
TERN_API void* tern_tensor_data(tern_tensor* tensor) TERN_NOEXCEPT;
TERN_API const void* tern_tensor_const_data(const tern_tensor* tensor) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
