// SPDX-License-Identifier: Apache-2.0
// oneDNN as a backend for convolutions and matrix products, in the host's memory. The library is opened when the
// backend is first asked for; without one it has no device. Everything else it leaves to the next backend:
// "onednn,cpu".
#pragma once
#include "runtime/backend.h"

namespace tern::onednn {

const BackendApi& backend();

// For tests: true makes it take whatever it can run, false only what it was measured to run as fast as the CPU's
// kernels.
void take_all(bool all);

}  // namespace tern::onednn
