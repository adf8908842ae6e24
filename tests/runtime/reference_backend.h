// SPDX-License-Identifier: Apache-2.0
// A second implementation of the backend interface, for tests: the operators' own reference loops, in memory that the
// host cannot touch outside of transfers (a stray access faults). New backends start from it.
#pragma once
#include "runtime/backend.h"

namespace tern::test {

// Named "reference": every primitive operator; composites are decomposed.
const BackendApi& reference_backend();
// Named "halting": refuses every second operator kind, so that partitions and copies are exercised.
const BackendApi& halting_backend();

}  // namespace tern::test
