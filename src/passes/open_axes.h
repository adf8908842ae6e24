// SPDX-License-Identifier: Apache-2.0
// Axes of what a loop carries that change from one iteration to the next.
#pragma once
#include "passes/follow_sizes.h"

namespace tern {

// Adds to `open` (per input of a loop's body, bits) the axes that carried values have changed at the end of the body;
// *more: there are new ones. False: a value has another number of dims.
bool find_open_axes(Sizes& sizes, const Graph& body, size_t carried, std::vector<uint32_t>* open, bool* more);
// The size of these axes (bits) of an input depends on data.
void open_axes(Sizes& sizes, Value& input, uint32_t axes);

}  // namespace tern
