// SPDX-License-Identifier: Apache-2.0
// What a build may leave out, each by a CMake option: TERN_TRAINING, TERN_TEXT, TERN_VISION. An operator and a table of
// kernels say in their own file what they belong to; the linker drops what nothing refers to then. The C ABI stays
// whole: a call that needs what was left out fails and names the option.
#pragma once
#include <cstdint>

namespace tern {

enum class Capability : uint8_t {
  core,
  training,  // gradients, losses, update rules
  text,      // tokenizers; positions in pages, attention over them, several sequences in a run
  vision,    // tasks on pictures: detector, pose. Models of pictures run without
};

// Is it in this build?
constexpr bool has_capability([[maybe_unused]] Capability c) {
#ifdef TERN_WITHOUT_TRAINING
  if (c == Capability::training) return false;
#endif
#ifdef TERN_WITHOUT_TEXT
  if (c == Capability::text) return false;
#endif
#ifdef TERN_WITHOUT_VISION
  if (c == Capability::vision) return false;
#endif
  return true;
}

constexpr const char* option_of(Capability c) {
  switch (c) {
    case Capability::core: return "";
    case Capability::training: return "TERN_TRAINING";
    case Capability::text: return "TERN_TEXT";
    case Capability::vision: return "TERN_VISION";
  }
  return "";
}

}  // namespace tern
