// SPDX-License-Identifier: Apache-2.0
// The CPU as a backend, and as the oracle of all others. Their memory is the host's.
#pragma once
#include "runtime/backend.h"

namespace tern::cpu {

const BackendApi& backend();
// "reference": the operators' own plain loops on the model's own nodes, without kernels and without fusion.
const BackendApi& reference_backend();

}  // namespace tern::cpu
