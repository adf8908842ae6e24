/* SPDX-License-Identifier: Apache-2.0 */
/* libtern_import: makes a `.tern` file from a model of another format. A library of its own, which hands over files
 * only, so that an app that runs models does not carry the readers. Messages of errors: tern_import_error. C99. */
#ifndef TERN_IMPORT_H
#define TERN_IMPORT_H

#include "tern/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_import_options {
  uint32_t struct_size;
  uint32_t flags;             /* 0 */
  /* "NAME=1x3x480x640;NAME2=..." overrides declared shapes; NULL = none. Names may hold '=' and ';': the last '='
   * before a shape counts */
  const char* input_shapes;
  /* name of a task recipe, a file that ends in ".recipe", "none", or NULL = the one that fits the model best, if any */
  const char* recipe;
  /* text of a label file, one label a line; NULL = the file beside the source that has its name and the ending .txt, if
   * any */
  const char* labels;
  uint64_t max_file_bytes;    /* of all files that are read together; 0 = 64 GiB */
  /* ONNX: "NAME=16000;NAME2=..." inputs of fixed shape that become constants (each element this number); NULL = none */
  const char* input_values;
  const char* task;           /* "detector", "classifier", ...: recipes of this task alone; NULL = any */
  /* "KEY=VALUE" lines: keys of the task's metadata that replace the recipe's, by their whole name or its last part
   * ("score" is result.score); line ends within a value are "\n" in two characters; NULL = none */
  const char* settings;
  /* language models: "f32", "f16", "q8_0" (8 bits, a scale for 32), "q4_0" and "q4_1" (4 bits, a scale, or a scale and
   * a least value, for 32; the embedding and the head are q8_0), or "ternary": what layers multiply with is -s, 0 and s
   * in two bits, with a scale for each row, and their inputs are rounded to 8 bits as BitNet b1.58 does; the rest is
   * q8_0. Models whose weights are others are refused then. NULL = ternary where the source says so; of GGUF files 4
   * bits where they have 4; else q8_0 */
  const char* weights;
  const char* cache;          /* language models: keys and values, "f32", "f16" or "int8" (a scale for each position and
                               * head); NULL = f32 with weights f32, else f16 */
  /* language models: what meets weights of 8 and 4 bits, "int16" (rounded to 16 bits with a scale for 32, for products
   * of integers: several times as fast) or "f32"; NULL = int16 */
  const char* activations;
} tern_import_options;
#define TERN_IMPORT_OPTIONS_INIT \
  { (uint32_t)sizeof(tern_import_options), 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL }
TERN_API tern_status tern_import_options_init(tern_import_options* options, size_t size) TERN_NOEXCEPT;

/* Reads an ONNX, TFLite or GGUF file (told apart by content), or a language model in Hugging Face's format, and writes
 * a `.tern` file. The latter is a folder (`source` is the folder or its config.json): config.json, model.safetensors or
 * the files that model.safetensors.index.json names, and perhaps tokenizer.json and a chat template, which are stored
 * in the model. Links in it are followed, since caches of downloads are made of them. Weights that an ONNX file keeps
 * in other files are read from the folder of `source` alone: regular files with plain names, no paths and no links.
 * Weights beside a model are mapped and must not be cut meanwhile. The `.tern` file is written by a new file that is
 * renamed at the end:
 * on error an existing `output` is untouched. The new file is called OUTPUT.tmpPID.N until then, with the process'
 * number and N from 0 on; a process that is killed leaves it behind.
 * Errors  TERN_ERR_NOT_FOUND, TERN_ERR_IO, TERN_ERR_CORRUPT, TERN_ERR_UNSUPPORTED_OP (the message lists all missing
 *         operators with counts), TERN_ERR_LIMIT, TERN_ERR_MEMORY, TERN_ERR_INVALID_ARGUMENT (an override or value that
 *         does not fit), TERN_ERR_UNSUPPORTED (weights "ternary" of a model whose are not) */
TERN_API tern_status tern_import_file(const char* source, const char* output,
                                      const tern_import_options* options) TERN_NOEXCEPT;

/* Writes a `.tern` file again with other metadata of its task: settings as in tern_import_options; an empty value takes
 * a key away. source and output may be the same file, which is replaced when the new one is complete.
 * Errors  as tern_import_file; TERN_ERR_INVALID_ARGUMENT and TERN_ERR_CORRUPT name the key that cannot be so */
TERN_API tern_status tern_import_edit(const char* source, const char* output, const char* settings) TERN_NOEXCEPT;

/* Writes a `.tern` file again with another tokenizer: the content of a file tokenizer.json, which is proven and stored
 * in a compact form; NULL takes the tokenizer away. source and output may be the same file.
 * Errors  as tern_import_file and tern_tokenizer_create */
TERN_API tern_status tern_import_set_tokenizer(const char* source, const char* output, const void* json,
                                               size_t bytes) TERN_NOEXCEPT;

/* One key of the metadata of tasks. Borrowed for ever. */
typedef struct tern_task_key {
  uint32_t struct_size;
  const char* name;      /* "result.score" */
  const char* kind;      /* "text", "choice", "number", "numbers", "lines", "output" or "anchors" */
  const char* fallback;  /* without the key; "" = none */
  const char* words;     /* of a choice, separated by '|'; else "" */
  const char* about;     /* one sentence */
  double min, max;       /* of numbers */
} tern_task_key;
#define TERN_TASK_KEY_INIT { (uint32_t)sizeof(tern_task_key), NULL, NULL, NULL, NULL, NULL, 0, 0 }
/* How many keys there are; the key with a number. Errors: TERN_ERR_INDEX. */
TERN_API int32_t tern_import_num_task_keys(void) TERN_NOEXCEPT;
TERN_API tern_status tern_import_get_task_key(int32_t index, tern_task_key* key) TERN_NOEXCEPT;

/* One of the recipes that come with the library: what the outputs of a kind of model mean. Borrowed for ever. */
typedef struct tern_recipe {
  uint32_t struct_size;
  const char* name;   /* of tern_import_options.recipe */
  const char* task;   /* "detector", ... */
  const char* about;  /* a sentence or two: which models */
} tern_recipe;
#define TERN_RECIPE_INIT { (uint32_t)sizeof(tern_recipe), NULL, NULL, NULL }
/* How many there are (0 without memory); the one with a number, by name. Errors: TERN_ERR_INDEX. */
TERN_API int32_t tern_import_num_recipes(void) TERN_NOEXCEPT;
TERN_API tern_status tern_import_get_recipe(int32_t index, tern_recipe* recipe) TERN_NOEXCEPT;

/* Text of the last error of this thread in this library ("" if none). Borrowed until its next failing call. */
TERN_API const char* tern_import_error(void) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
