// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "train/edit.h"

namespace tern {

extern const Edit edit_lora, edit_merge_lora, edit_sub_norm, edit_bit_linear, edit_pack_ternary, edit_head;

}  // namespace tern
