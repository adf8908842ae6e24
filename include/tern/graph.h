/* SPDX-License-Identifier: Apache-2.0 */
/* Graph: composes models in memory, above all training steps. C99.
 *
 * A training method is a step: a signature that takes a batch, reads parameters and states, and writes new ones at its
 * end. It is composed of operators by name, calls of models as functions of their inputs and their parameters,
 * gradients, which are values like all others, and writes:
 *
 *   tern_graph* g;
 *   tern_graph_create(context, &g);
 *   tern_graph_begin(g, "step");
 *   tern_value image = tern_graph_input(g, "image", TERN_DTYPE_F32, (int64_t[]){32, 28, 28, 1}, 4);
 *   tern_value label = tern_graph_input(g, "label", TERN_DTYPE_I64, (int64_t[]){32}, 1);
 *   tern_value logits = tern_graph_call(g, "net", model, "forward", &image, 1, NULL);
 *   tern_value loss = tern_graph_op(g, "cross_entropy", NULL, TERN_VALUES(logits, label));
 *   tern_value rate = tern_graph_number(g, 0.1), weights[64], gradients[64];
 *   int32_t n = tern_graph_list(g, "*", weights, 64);
 *   tern_graph_gradient(g, loss, weights, n, gradients);
 *   for (int32_t i = 0; i < n; ++i)
 *     tern_graph_op(g, "sgd_update", NULL, TERN_VALUES(weights[i], gradients[i], rate));
 *   tern_graph_output(g, "loss", loss);
 *   tern_model* step;
 *   tern_status status = tern_graph_finish(g, &step);
 *   tern_graph_release(g);
 *
 * Errors   the first one of a graph stays: calls after it do nothing and give TERN_NO_VALUE, and tern_graph_finish
 *          gives its code and message, which names the node, the operator and the shapes. So only finish must be
 *          checked; each status tells the same earlier.
 * Shapes   all are fixed: a called model is taken at the shapes of the values that it is given.
 * Threads  one call at a time for a graph. */
#ifndef TERN_GRAPH_H
#define TERN_GRAPH_H

#include "tern/state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_graph tern_graph;

/* A value of the signature that was begun last: what an input, a parameter, a constant or a node gives. */
typedef int32_t tern_value;
#define TERN_NO_VALUE (-1)
/* A list of values, as arguments: the array and its length. C only. */
#define TERN_VALUES(...) \
  (const tern_value[]){__VA_ARGS__}, (int32_t)(sizeof((const tern_value[]){__VA_ARGS__}) / sizeof(tern_value))

/* Errors: TERN_ERR_MEMORY; TERN_ERR_UNSUPPORTED in a library without TERN_TRAINING. */
TERN_API tern_status tern_graph_create(tern_context* context, tern_graph** graph) TERN_NOEXCEPT;
TERN_API void tern_graph_release(tern_graph* graph) TERN_NOEXCEPT;

/* Begins a signature. Signatures of a graph share parameters and states; values of earlier ones are gone. */
TERN_API tern_status tern_graph_begin(tern_graph* graph, const char* signature) TERN_NOEXCEPT;

/* An input of the signature. dims [rank]. */
TERN_API tern_value tern_graph_input(tern_graph* graph, const char* name, int32_t dtype, const int64_t* dims,
                                     int32_t rank) TERN_NOEXCEPT;
/* A run-time scalar: an i64 input of rank 0. Trainers give "step" (from 1 on) and "seed" by these names. The same name
 * again gives the same value. */
TERN_API tern_value tern_graph_scalar(tern_graph* graph, const char* name) TERN_NOEXCEPT;
/* A parameter of the model with its first content (copied), or, with tensor NULL, the one of this name that is there
 * already, in any signature. */
TERN_API tern_value tern_graph_parameter(tern_graph* graph, const char* name, const tern_tensor* tensor) TERN_NOEXCEPT;
/* A state of the model, which begins as zeros. The same name again gives the same state. */
TERN_API tern_value tern_graph_state(tern_graph* graph, const char* name, int32_t dtype, const int64_t* dims,
                                     int32_t rank) TERN_NOEXCEPT;
/* A state of the type and shape of `like`, and in its order where that is one of its own: the moments of a parameter,
 * which updates are fastest with. */
TERN_API tern_value tern_graph_state_like(tern_graph* graph, const char* name, tern_value like) TERN_NOEXCEPT;
/* The tensor is copied. */
TERN_API tern_value tern_graph_constant(tern_graph* graph, const tern_tensor* tensor) TERN_NOEXCEPT;
/* f32, rank 0. */
TERN_API tern_value tern_graph_number(tern_graph* graph, double number) TERN_NOEXCEPT;

/* A node. `op` is the name of any operator (tern_graph_ops lists them), attributes its attributes as text, "axis=1
 * keep_dims=0", or NULL; "outputs=3" where an operator may have several numbers of them. Inputs that may be absent:
 * TERN_NO_VALUE. Parameters that are stored in an order of their own are given as plain tensors to operators that take
 * no others. Of an operator that updates (sgd_update, adamw_update, state_write, ...) the first input is a parameter or
 * state; what it gives is the content after the step, all others still read the content before it.
 * Returns the first output; tern_graph_result gives the others. */
TERN_API tern_value tern_graph_op(tern_graph* graph, const char* op, const char* attributes, const tern_value* inputs,
                                  int32_t num_inputs) TERN_NOEXCEPT;
/* Output `index` of the node or call that gave `value` as its first. */
TERN_API tern_value tern_graph_result(tern_graph* graph, tern_value value, int32_t index) TERN_NOEXCEPT;

enum {
  /* batch norm takes the statistics of the batch, and writes the running ones at the end of the step: of parameters of
   * a set that are not given as values; "NAME.next" names what is written */
  TERN_CALL_TRAIN = 1,
  TERN_CALL_KEEP_STATISTICS = 2 /* with TERN_CALL_TRAIN: batch norm is as in inference, its statistics stay */
};

typedef struct tern_call_options {
  uint32_t struct_size;
  uint32_t flags; /* TERN_CALL_* */
  /* The set of parameters that the model reads: they become parameters of the new model, "SET/NAME". Calls with the
   * same set share it. NULL: the set without a name, whose parameters are called as in the model. */
  const char* set;
  /* What a set that this call makes begins with; NULL = the model's own. */
  const tern_parameters* parameters;
  /* num_values names of parameters of the model, or of values inside it, and what stands in their place. A name that
   * both have means the parameter; so it does for tern_graph_find, unless the call has a name. */
  const char* const* names;
  const tern_value* values;
  int32_t num_values;
  float statistics_momentum; /* share of the batch in new running statistics; 0 = 0.1 */
} tern_call_options;
#define TERN_CALL_OPTIONS_INIT { (uint32_t)sizeof(tern_call_options), 0, NULL, NULL, NULL, NULL, 0, 0 }
TERN_API tern_status tern_call_options_init(tern_call_options* options, size_t size) TERN_NOEXCEPT;

/* A signature of a model as a function of its inputs (in its order; TERN_NO_VALUE for one that nothing needs) and of
 * its parameters. The model lives as long as what is composed of it; its weights are shared, not copied.
 * A signature that takes rows of sequences, as those of language models (tern_session_run_sequences), is called with
 * whole sequences from position 0 on: tokens [sequences, tokens], and TERN_NO_VALUE for the inputs of is_scalar 2. What
 * it gives for each row comes as [sequences, tokens, ..]; values inside keep their rows.
 * name     of the call, or NULL: the values inside are then found as "NAME/value" (tern_graph_find), without it by
 *          their own names
 * options  NULL = defaults
 * Returns the first output; tern_graph_result gives the others. */
TERN_API tern_value tern_graph_call(tern_graph* graph, const char* name, const tern_model* model,
                                    const char* signature, const tern_value* inputs, int32_t num_inputs,
                                    const tern_call_options* options) TERN_NOEXCEPT;

/* The value of a name: of an input, a parameter, a state, or one inside a call. */
TERN_API tern_value tern_graph_find(tern_graph* graph, const char* name) TERN_NOEXCEPT;
/* The parameters whose names match, in their order: floats that can be trained, so without statistics of batch norm
 * and without weights of a few bits. pattern: "*" any characters, "?" one, "{a,b}" either, spaces between several
 * patterns. Returns how many there are; of these at most `capacity` are stored. -1 after an error. */
TERN_API int32_t tern_graph_list(tern_graph* graph, const char* pattern, tern_value* values,
                                 int32_t capacity) TERN_NOEXCEPT;
/* Name, type and dims of a value. Strings are borrowed until the next call. */
TERN_API tern_status tern_graph_get(tern_graph* graph, tern_value value, tern_tensor_info* info) TERN_NOEXCEPT;

/* d scalar / d values[i], as values of the type and shape of values[i]; zeros where nothing depends on it. scalar: a
 * float with one element. Gradients of gradients are taken likewise. After an error all are TERN_NO_VALUE. In a
 * signature that writes, a scalar that was differentiated must be finite: where it is not, the run gives
 * TERN_ERR_NOT_FINITE and has changed nothing. */
TERN_API tern_status tern_graph_gradient(tern_graph* graph, tern_value scalar, const tern_value* values,
                                         int32_t num_values, tern_value* gradients) TERN_NOEXCEPT;

/* At the end of the step the parameter or state `target` becomes `value` (of its shape; another float type is
 * converted). Each is written once at most. */
TERN_API tern_status tern_graph_write(tern_graph* graph, tern_value target, tern_value value) TERN_NOEXCEPT;
/* An output of the signature. */
TERN_API tern_status tern_graph_output(tern_graph* graph, const char* name, tern_value value) TERN_NOEXCEPT;

/* Makes the model of all signatures, which runs, and is saved, without the graph. Afterwards the graph is only good for
 * being released. Errors: the first of the graph; TERN_ERR_STATE a second time. */
TERN_API tern_status tern_graph_finish(tern_graph* graph, tern_model** model) TERN_NOEXCEPT;

/* An edit of a model: another one that shares its weights, in all signatures alike, so that what is trained is also
 * what runs and generates.
 * pattern     which weights of matrix products, by name (tern_graph_list); "*" = all
 * attributes  "key=value ...", or NULL
 *   lora          y = W x becomes W x + alpha / rank * B (A x), with new parameters NAME.lora_a and NAME.lora_b; W
 *                 stays as it is, in any form. rank=8, alpha=2 * rank, seed=0
 *   merge_lora    W becomes W + alpha / rank * B A; refused for weights of a few bits
 *   sub_norm      an RMSNorm NAME_in_norm in front of the product. gain=1, epsilon=1e-6
 *   bit_linear    ternary weights and 8-bit activations, trained through the rounding: W are latent floats
 *   pack_ternary  the weights of bit_linear in two bits each, as the model is shipped
 *   head          new NAME.head, NAME.head_bias in the place of a weight. classes=N, seed=0
 * Errors: TERN_ERR_NOT_FOUND (no such edit; no weight matches), TERN_ERR_UNSUPPORTED (it does not fit the weights),
 * TERN_ERR_INVALID_ARGUMENT. */
TERN_API tern_status tern_model_edit(const tern_model* model, const char* edit, const char* pattern,
                                     const char* attributes, tern_model** edited) TERN_NOEXCEPT;

/* Name of an operator, or NULL if index is outside [0, number of operators). Static storage. */
TERN_API const char* tern_graph_ops(int32_t index) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
