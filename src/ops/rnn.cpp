// SPDX-License-Identifier: Apache-2.0
// rnn: h = f(x w^T + h r^T + biases) for each token (ops/recurrent.h has the layouts)
#include "ops/recurrent.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_recurrent(a, kRnn); }
void decompose(DecomposeArgs& a) { decompose_recurrent(a, kRnn); }

constexpr Case kCases[] = {
    {"plain", "f32[4,2,5] f32[1,3,5] f32[1,3,3]"},
    {"one", "f32[1,1,1] f32[1,1,1] f32[1,1,1]"},
    {"bias", "f32[4,2,5] f32[1,3,5] f32[1,3,3] f32[1,6]"},
    {"reverse", "f32[4,2,5] f32[1,3,5] f32[1,3,3]", "direction=reverse"},
    {"both", "f32[3,2,5] f32[2,3,5] f32[2,3,3] f32[2,6]", "direction=bidirectional"},
    {"lengths", "f32[4,3,2] f32[1,3,2] f32[1,3,3] - i32[3]{4,0,2}"},
    {"lengths_reverse", "f32[4,3,2] f32[1,3,2] f32[1,3,3] - i32[3]{4,1,2}", "direction=reverse"},
    {"lengths_cut", "f32[2,3,2] f32[1,3,2] f32[1,3,3] - i64[3]{-5,99,1}"},
    {"first", "f32[3,2,2] f32[1,3,2] f32[1,3,3]:-0.5..0.5 - - f32[1,2,3]"},
    {"both_first", "f32[3,2,2] f32[2,3,2] f32[2,3,3] - i32[2]{2,3} f32[2,2,3]", "direction=bidirectional"},
    {"clip", "f32[3,2,2] f32[1,3,2] f32[1,3,3]", "clip=0.5"},
    {"half", "f16[3,2,5] f16[1,3,5] f16[1,3,3]", "", 1e-2},
    {"no_batch", "f32[3,0,2] f32[1,3,2] f32[1,3,3]"},
    {"no_inputs", "f32[3,2,0] f32[1,3,0] f32[1,3,3]"},
    {"functions", "f32[3,2,2] f32[1,3,2] f32[1,3,3]", "activations=7"},
    {"functions_both", "f32[2,2,2] f32[2,3,2] f32[2,3,3]", "direction=bidirectional activations=8,4"},
    {"no_tokens", "f32[0,2,5] f32[1,3,5] f32[1,3,3]"},
    {"rows", "f32[4,2,5] f32[1,4,5] f32[1,3,3]", "", 0, TERN_ERR_SHAPE},
    {"inputs", "f32[4,2,6] f32[1,3,5] f32[1,3,3]", "", 0, TERN_ERR_SHAPE},
    {"directions", "f32[4,2,5] f32[1,3,5] f32[1,3,3]", "direction=bidirectional", 0, TERN_ERR_SHAPE},
    {"bias_shape", "f32[4,2,5] f32[1,3,5] f32[1,3,3] f32[1,3]", "", 0, TERN_ERR_SHAPE},
    {"lengths_shape", "f32[4,2,5] f32[1,3,5] f32[1,3,3] - i32[3]", "", 0, TERN_ERR_SHAPE},
    {"lengths_type", "f32[4,2,5] f32[1,3,5] f32[1,3,3] - f32[2]", "", 0, TERN_ERR_TYPE},
    {"activation", "f32[4,2,5] f32[1,3,5] f32[1,3,3]", "activations=0,0", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank", "f32[2,5] f32[1,3,5] f32[1,3,3]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_rnn = checked_op({.name = "rnn",
                                               .min_in = 3,
                                               .max_in = 6,
                                               .num_out = 2,
                                               .attributes = attr_schema<RecurrentAttrs>(kRecurrentFields),
                                               .infer = infer,
                                               .decompose = decompose,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
