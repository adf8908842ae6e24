// SPDX-License-Identifier: Apache-2.0
// gru: h = (1 - z) * n + z * h for each token (ops/recurrent.h has the layouts; gates in the order z, r, n)
//   z = f(x wz^T + h rz^T), r = f(x wr^T + h rr^T), n = g(x wn^T + (r * h) rn^T), each with its biases
//   linear_before_reset: n = g(x wn^T + r * (h rn^T)), the bias of rn inside the bracket
#include "ops/recurrent.h"

namespace tern {
namespace {

tern_status infer(InferArgs& a) { return infer_recurrent(a, kGru); }
void decompose(DecomposeArgs& a) { decompose_recurrent(a, kGru); }

constexpr Case kCases[] = {
    {"plain", "f32[4,2,5] f32[1,9,5] f32[1,9,3]"},
    {"one", "f32[1,1,1] f32[1,3,1] f32[1,3,1]"},
    {"bias", "f32[4,2,5] f32[1,9,5] f32[1,9,3] f32[1,18]"},
    {"reverse", "f32[4,2,5] f32[1,9,5] f32[1,9,3]", "direction=reverse"},
    {"both", "f32[3,2,5] f32[2,9,5] f32[2,9,3] f32[2,18]", "direction=bidirectional"},
    {"lengths", "f32[4,3,2] f32[1,9,2] f32[1,9,3] - i32[3]{4,0,2}"},
    {"lengths_reverse", "f32[4,3,2] f32[1,9,2] f32[1,9,3] - i32[3]{4,1,2}", "direction=reverse"},
    {"lengths_cut", "f32[2,3,2] f32[1,9,2] f32[1,9,3] - i64[3]{-5,99,1}"},
    {"first", "f32[3,2,2] f32[1,9,2] f32[1,9,3] - - f32[1,2,3]"},
    {"both_first", "f32[3,2,2] f32[2,9,2] f32[2,9,3] - i32[2]{2,3} f32[2,2,3]", "direction=bidirectional"},
    {"clip", "f32[3,2,2] f32[1,9,2] f32[1,9,3]", "clip=0.5"},
    {"half", "f16[3,2,5] f16[1,9,5] f16[1,9,3]", "", 1e-2},
    {"no_batch", "f32[3,0,2] f32[1,9,2] f32[1,9,3]"},
    {"no_inputs", "f32[3,2,0] f32[1,9,0] f32[1,9,3]"},
    {"functions", "f32[3,2,2] f32[1,9,2] f32[1,9,3]", "activations=7,9"},
    {"functions_both", "f32[2,2,2] f32[2,9,2] f32[2,9,3]", "direction=bidirectional activations=8,4,10,3"},
    {"before_reset", "f32[3,2,2] f32[1,9,2] f32[1,9,3] f32[1,18]", "linear_before_reset=1"},
    {"no_tokens", "f32[0,2,5] f32[1,9,5] f32[1,9,3]"},
    {"rows", "f32[4,2,5] f32[1,10,5] f32[1,9,3]", "", 0, TERN_ERR_SHAPE},
    {"inputs", "f32[4,2,6] f32[1,9,5] f32[1,9,3]", "", 0, TERN_ERR_SHAPE},
    {"directions", "f32[4,2,5] f32[1,9,5] f32[1,9,3]", "direction=bidirectional", 0, TERN_ERR_SHAPE},
    {"bias_shape", "f32[4,2,5] f32[1,9,5] f32[1,9,3] f32[1,9]", "", 0, TERN_ERR_SHAPE},
    {"lengths_shape", "f32[4,2,5] f32[1,9,5] f32[1,9,3] - i32[3]", "", 0, TERN_ERR_SHAPE},
    {"lengths_type", "f32[4,2,5] f32[1,9,5] f32[1,9,3] - f32[2]", "", 0, TERN_ERR_TYPE},
    {"activation", "f32[4,2,5] f32[1,9,5] f32[1,9,3]", "activations=0,0,0", 0, TERN_ERR_INVALID_ARGUMENT},
    {"rank", "f32[2,5] f32[1,9,5] f32[1,9,3]", "", 0, TERN_ERR_SHAPE},
};

}  // namespace

extern constinit const Op op_gru = checked_op({.name = "gru",
                                               .min_in = 3,
                                               .max_in = 6,
                                               .num_out = 2,
                                               .attributes = attr_schema<RecurrentAttrs>(kRecurrentFields),
                                               .infer = infer,
                                               .decompose = decompose,
                                               .cases = TERN_CASES(kCases)});

}  // namespace tern
