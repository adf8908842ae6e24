// SPDX-License-Identifier: Apache-2.0
// lstm: c = f * c + i * n, h = o * H(c) for each token (ops/recurrent.h has the layouts; gates in the order i, o, f, n;
// peepholes in the order i, o, f)
//   i = F(x wi^T + h ri^T + pi * c), f likewise, n = G(x wn^T + h rn^T), o = F(x wo^T + h ro^T + po * new c), each with
//   its
//   biases; F, G, H are the activations. input_forget: f = 1 - i
#include "ops/recurrent.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_recurrent(a, kLstm); }
void decompose(DecomposeArgs& a) { decompose_recurrent(a, kLstm); }

constexpr Case kCases[] = {
    {"plain", "f32[4,2,5] f32[1,12,5] f32[1,12,3]"},
    {"one", "f32[1,1,1] f32[1,4,1] f32[1,4,1]"},
    {"bias", "f32[4,2,5] f32[1,12,5] f32[1,12,3] f32[1,24]"},
    {"reverse", "f32[4,2,5] f32[1,12,5] f32[1,12,3]", "direction=reverse"},
    {"both", "f32[3,2,5] f32[2,12,5] f32[2,12,3] f32[2,24]", "direction=bidirectional"},
    {"lengths", "f32[4,3,2] f32[1,12,2] f32[1,12,3] - i32[3]{4,0,2}"},
    {"lengths_reverse", "f32[4,3,2] f32[1,12,2] f32[1,12,3] - i32[3]{4,1,2}", "direction=reverse"},
    {"lengths_cut", "f32[2,3,2] f32[1,12,2] f32[1,12,3] - i64[3]{-5,99,1}"},
    {"first", "f32[3,2,2] f32[1,12,2] f32[1,12,3] - - f32[1,2,3] f32[1,2,3]"},
    {"both_first", "f32[3,2,2] f32[2,12,2] f32[2,12,3] - i32[2]{2,3} f32[2,2,3]", "direction=bidirectional"},
    {"clip", "f32[3,2,2] f32[1,12,2] f32[1,12,3]", "clip=0.5"},
    {"half", "f16[3,2,5] f16[1,12,5] f16[1,12,3]", "", 1e-2},
    {"no_batch", "f32[3,0,2] f32[1,12,2] f32[1,12,3]"},
    {"no_inputs", "f32[3,2,0] f32[1,12,0] f32[1,12,3]"},
    {"functions", "f32[3,2,2] f32[1,12,2] f32[1,12,3]", "activations=7,9,2"},
    {"functions_both", "f32[2,2,2] f32[2,12,2] f32[2,12,3]", "direction=bidirectional activations=8,4,10,3,6,5"},
    {"peepholes", "f32[3,2,2] f32[1,12,2] f32[1,12,3] - - - - f32[1,9]"},
    {"input_forget", "f32[3,2,2] f32[1,12,2] f32[1,12,3]", "input_forget=1"},
    {"peepholes_both", "f32[2,2,2] f32[2,12,2] f32[2,12,3] - - - - f32[2,9]", "direction=bidirectional"},
    {"no_tokens", "f32[0,2,5] f32[1,12,5] f32[1,12,3]"},
    {"rows", "f32[4,2,5] f32[1,13,5] f32[1,12,3]", "", 0, TERN_ERR_SHAPE},
    {"inputs", "f32[4,2,6] f32[1,12,5] f32[1,12,3]", "", 0, TERN_ERR_SHAPE},
    {"directions", "f32[4,2,5] f32[1,12,5] f32[1,12,3]", "direction=bidirectional", 0, TERN_ERR_SHAPE},
    {"bias_shape", "f32[4,2,5] f32[1,12,5] f32[1,12,3] f32[1,12]", "", 0, TERN_ERR_SHAPE},
    {"lengths_shape", "f32[4,2,5] f32[1,12,5] f32[1,12,3] - i32[3]", "", 0, TERN_ERR_SHAPE},
    {"lengths_type", "f32[4,2,5] f32[1,12,5] f32[1,12,3] - f32[2]", "", 0, TERN_ERR_TYPE},
    {"activation", "f32[4,2,5] f32[1,12,5] f32[1,12,3]", "activations=0,0,0,0", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank", "f32[2,5] f32[1,12,5] f32[1,12,3]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_lstm = checked_op({.name = "lstm",
                                                .min_in = 3,
                                                .max_in = 8,
                                                .num_out = 3,
                                                .attributes = attr_schema<RecurrentAttrs>(kRecurrentFields),
                                                .infer = infer,
                                                .decompose = decompose,
                                                .cases = TERN_CASES(kCases)});

}  // namespace tern
