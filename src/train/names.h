// SPDX-License-Identifier: Apache-2.0
// Patterns for the names of parameters: what is trained, adapted or frozen.
#pragma once
#include <string_view>

namespace tern {

// "*" stands for any characters, "?" for one, "{a,b}" for either; patterns are separated by spaces, one must match.
bool matches_name(std::string_view patterns, std::string_view name);

}  // namespace tern
