// SPDX-License-Identifier: Apache-2.0
// What xsimd 8.1 only estimates on NEON: quotients and square roots are exact here, as on every other processor.
// Included by simd.h before the first use.
#pragma once
#include <xsimd/xsimd.hpp>

namespace xsimd {

template <>
inline batch<float, neon64>& batch<float, neon64>::operator/=(batch<float, neon64> const& other) noexcept {
  return *this = batch<float, neon64>(vdivq_f32(*this, other));
}

template <>
inline batch<float, neon64> sqrt<float, neon64>(batch<float, neon64> const& x) noexcept {
  return vsqrtq_f32(x);
}

}  // namespace xsimd
