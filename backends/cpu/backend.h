// SPDX-License-Identifier: Apache-2.0
// The CPU as a backend. Its memory is the host's.
#pragma once
#include "runtime/backend.h"

namespace tern::cpu {

const BackendApi& backend();

}  // namespace tern::cpu
