// SPDX-License-Identifier: Apache-2.0
#include "train/edits/edits.h"

namespace tern {

std::span<const Edit* const> all_edits() {
  static constexpr const Edit* kEdits[] = {&edit_bit_linear, &edit_head,         &edit_lora,
                                           &edit_merge_lora, &edit_pack_ternary, &edit_sub_norm};
  return kEdits;
}

}  // namespace tern
