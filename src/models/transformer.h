// SPDX-License-Identifier: Apache-2.0
// Decoder-only transformers as graphs: one builder, of which families are configurations.
//
// Parameters of the model are called as follows; {i} is a layer from 0 on, [..] the shape:
//   embed [vocab, hidden]   norm [hidden]   head [vocab, hidden], without it that of embed
//   layers.{i}.attention_norm [hidden]   .q [heads * head_dim, hidden]   .k, .v [kv_heads * head_dim, hidden]
//   .o [hidden, heads * head_dim]   .mlp_norm [hidden]   .gate, .up [ffn, hidden]   .down [hidden, ffn]
// and where the model has them
//   .q_bias, .k_bias, .v_bias, .o_bias   .q_norm, .k_norm [head_dim], of each head before it is turned
//   .attention_sub_norm [heads * head_dim], before o   .mlp_sub_norm [ffn], before down
//   .attention_post_norm, .mlp_post_norm [hidden], of what a branch adds
//   .{q, k, v, o, gate, up, down}_in_norm, of what this projection alone reads
// Values inside, to be tapped by name: layers.{i}.q, .k (turned), .v, .attention (before o), .mlp (what it adds).
#pragma once
#include "graph/model_def.h"
#include "ops/rope.h"

namespace tern {

enum class Gate : uint8_t { silu, gelu_tanh, relu_squared };
// What becomes of the rows that meet a matrix: they stay, or are rounded: to 8 bits with a scale for each (bit_linear)
// or to 16 bits with a scale for 32 numbers (rounded_linear).
enum class Rounding : uint8_t { none, rows, blocks };

struct TransformerConfig {
  int64_t vocab = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0;
  int64_t positions = 0;  // that a sequence may have
  double norm_epsilon = 1e-5;
  Gate gate = Gate::silu;
  double embed_scale = 1;      // of what embed gives
  double attention_scale = 0;  // 0: 1 / sqrt(head_dim)
  double head_softcap = 0;     // logits become softcap * tanh(logits / softcap); 0: they stay
  RopeAttrs rope;
  // Layers see `window` positions with the angles of local_rope but each `global_every`-th, that is the layers i with
  // (i + 1) % global_every == 0; window 0: every layer sees all.
  int64_t window = 0, global_every = 0;
  RopeAttrs local_rope;
  DType cache = TERN_DTYPE_F16;  // of keys and values, and how they lie
  Encoding cache_encoding = Encoding::plain;
  Rounding projections = Rounding::none, head = Rounding::none;  // of what layers, and the head, multiply with weights
  bool embedder = false;                                         // the model is for embeddings of texts
};

// Are all sizes within what the builder takes, and do they fit each other? Errors: TERN_ERR_CORRUPT names the size.
tern_status check_transformer(const TransformerConfig& config);

// Makes the states (keys and values of each layer, in pages) and the signatures of a model that has its parameters:
//   prefill  tokens i64 [rows], sequence i32 [rows], position i64 [rows], picked i64 [picks] -> logits [picks, vocab]
//            of the rows with these numbers
//   decode   tokens, sequence, position -> logits [rows, vocab]
//   embed    tokens, sequence, position -> hidden [rows, hidden], after the last norm
// and of an embedder also
//   embedding  tokens, sequence, position, picked -> embedding [picks, hidden], of length 1, of the rows with these
//              numbers: a text's is that of its last token
// Errors: TERN_ERR_CORRUPT names a parameter that is missing or has another shape.
tern_status build_transformer(const TransformerConfig& config, ModelDef* model);

}  // namespace tern
