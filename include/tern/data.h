/* SPDX-License-Identifier: Apache-2.0 */
/* Training data: samples from arrays, NumPy files, texts and JSON Lines; batches of them in an order that a resumed run
 * takes up where it was; tokenizers made of texts. In a library built without TERN_TRAINING every call but
 * tern_tensor_load_npy fails with TERN_ERR_UNSUPPORTED, in one without TERN_TEXT those with texts do. C99. */
#ifndef TERN_DATA_H
#define TERN_DATA_H

#include "tern/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a .npy file (format 1 to 3, any byte order, rows or columns first) as a tensor.
 * Errors  TERN_ERR_NOT_FOUND, TERN_ERR_IO, TERN_ERR_MEMORY
 *         TERN_ERR_CORRUPT    no such file, one that contradicts itself, an element type that tensors do not have */
TERN_API tern_status tern_tensor_load_npy(tern_context* context, const char* path, tern_tensor** tensor) TERN_NOEXCEPT;

/* ---- samples ---- */

/* A set of samples, at least one. Each has the same fields: tensors of fixed shapes, without the dim of the batch. */
typedef struct tern_data tern_data;

enum {
  TERN_DATA_IN_ORDER = 1,   /* batches follow the order of the source; without it each epoch has a random one */
  TERN_DATA_DROP_LAST = 2,  /* a batch that would reach into the next epoch begins there: what is left of an epoch is
                             * not drawn. Without it the batch takes the rest from the next epoch: all are full */
  TERN_DATA_SKIP_BAD = 4,   /* documents and records that are of no use are counted (tern_data_num_skipped); without it
                             * the first one is an error that names file, line and reason */
  TERN_DATA_PAD_LAST = 8,   /* texts: the last window is padded if it is not full; without it it is dropped */
  TERN_DATA_NO_END = 16     /* no token is put behind a text */
};

typedef enum tern_data_kind {
  TERN_DATA_FOUND = 0,      /* by the keys of the first record */
  TERN_DATA_CLASSES = 1,    /* a text and its label: see tern_data_open_jsonl */
  TERN_DATA_CHAT = 2,
  TERN_DATA_COMPLETION = 3
} tern_data_kind;

/* Text of the options is not needed after the call. Those of tokens are ignored where there are none. */
typedef struct tern_data_options {
  uint32_t struct_size;
  uint32_t flags;             /* TERN_DATA_* */
  uint64_t seed;              /* of the order and of augmentations */
  int32_t length;             /* tokens of a sample, up to 2^20; 0 = 512 */
  int32_t kind;               /* of records: tern_data_kind */
  const char* separator;      /* texts: what stands between documents; NULL = blank lines, "" = one document */
  const char* end;            /* piece of the token that stands behind a text; NULL = the one that the tokenizer knows
                               * as the end of a text, or calls "<|endoftext|>", "</s>" or the like */
  const char* template_name;  /* chats: as in tern_chat_options */
  const char* template_source;/* chats: as in tern_chat_create */
  const char* const* classes; /* [num_classes] names of labels, as of the data that a model was trained with; NULL =
                               * those that are in the file, sorted */
  int32_t num_classes;        /* labels are below it; 0 = the file says how many there are */
  int32_t reserved;
} tern_data_options;
#define TERN_DATA_OPTIONS_INIT { (uint32_t)sizeof(tern_data_options), 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, 0 }
TERN_API tern_status tern_data_options_init(tern_data_options* options, size_t size) TERN_NOEXCEPT;

/* From arrays in memory: field i is called names[i] and has the rows of arrays[i], which are retained, not copied.
 * names    [num_arrays] UTF-8, not empty, all different; copied
 * arrays   [num_arrays] with the same first dim, the number of samples
 * Errors   TERN_ERR_SHAPE, TERN_ERR_INVALID_ARGUMENT */
TERN_API tern_status tern_data_create_arrays(tern_context* context, const char* const* names,
                                             const tern_tensor* const* arrays, int32_t num_arrays,
                                             const tern_data_options* options, tern_data** data) TERN_NOEXCEPT;
/* The same from .npy files, mapped where they need no conversion: nobody may cut them meanwhile.
 * Errors   also those of tern_tensor_load_npy */
TERN_API tern_status tern_data_open_npy(tern_context* context, const char* const* names, const char* const* paths,
                                        int32_t num_files, const tern_data_options* options,
                                        tern_data** data) TERN_NOEXCEPT;
/* From a text (UTF-8), for language models: its documents, each with the token for its end, are one sequence of tokens,
 * which is cut into windows. Fields tokens and labels, i64 [length]; labels[t] is the token behind tokens[t], -100 at
 * padding. Each token but the first is a label once. All is encoded by this call, and 4 bytes a token stay in memory.
 * Errors   TERN_ERR_CORRUPT (bad UTF-8, less than a window), TERN_ERR_LIMIT (a document of 1 GiB), TERN_ERR_IO,
 *          TERN_ERR_NOT_FOUND (the file, options.end), TERN_ERR_UNSUPPORTED (a character that is in no token) */
TERN_API tern_status tern_data_open_text(tern_context* context, const char* path, const tern_tokenizer* tokenizer,
                                         const tern_data_options* options, tern_data** data) TERN_NOEXCEPT;
/* From JSON Lines, a record a line; empty lines are left out, longer records are cut to `length`.
 *   TERN_DATA_CLASSES     {"text": "...", "label": 3} or "label": "name". Fields tokens and mask, i64 [length] (mask: 1
 *                         for tokens, 0 for padding), and label, i64 []
 *   TERN_DATA_CHAT        {"messages": [{"role": "user", "content": "..."}, ...]}. Fields tokens and labels as of a
 *                         text, but labels are -100 for all but answers: what the messages "assistant" say, with the
 *                         token that ends the turn. An answer that its chat template writes in another way once others
 *                         follow is no label
 *   TERN_DATA_COMPLETION  {"prompt": "...", "completion": "..."}. The same; the answer is the completion and the token
 *                         that ends a text
 * Errors   those of a text; TERN_ERR_CORRUPT (JSON, a record without what its kind has, nothing of an answer within
 *          `length`), TERN_ERR_INDEX (a label out of range), TERN_ERR_LIMIT (a line of more than 64 MiB), and those of
 *          tern_chat_create and tern_chat_encode */
TERN_API tern_status tern_data_open_jsonl(tern_context* context, const char* path, const tern_tokenizer* tokenizer,
                                          const tern_data_options* options, tern_data** data) TERN_NOEXCEPT;
TERN_API void tern_data_release(tern_data* data) TERN_NOEXCEPT;

/* Parts a set into two that share its memory, each in its order; `data` stays as it is. Which samples go where follows
 * from the seed.
 * share       of the samples that goes to `validation`, more than 0, less than 1; at least one goes to each
 * train       has the order, the seed and the augmentation of `data`, and position 0
 * validation  is in order and not augmented
 * Errors      TERN_ERR_INVALID_ARGUMENT */
TERN_API tern_status tern_data_split(const tern_data* data, double share, uint64_t seed, tern_data** train,
                                     tern_data** validation) TERN_NOEXCEPT;

/* -1 for NULL. */
TERN_API int64_t tern_data_num_samples(const tern_data* data) TERN_NOEXCEPT;
TERN_API int32_t tern_data_num_fields(const tern_data* data) TERN_NOEXCEPT;
/* Documents or records that were skipped; 0 for NULL. */
TERN_API int64_t tern_data_num_skipped(const tern_data* data) TERN_NOEXCEPT;
/* Classes of labels; 0: there are none. */
TERN_API int64_t tern_data_num_classes(const tern_data* data) TERN_NOEXCEPT;
/* Name of a class, borrowed from the data; NULL: labels are numbers, or there is no such class. */
TERN_API const char* tern_data_class_name(const tern_data* data, int64_t label) TERN_NOEXCEPT;

typedef struct tern_data_field {
  uint32_t struct_size;
  int32_t dtype;
  const char* name;             /* borrowed from the data */
  int64_t dims[TERN_MAX_RANK];  /* [rank] of one sample */
  int32_t rank;
  int32_t reserved;
} tern_data_field;
#define TERN_DATA_FIELD_INIT { (uint32_t)sizeof(tern_data_field), 0, NULL, {0}, 0, 0 }
/* Errors: TERN_ERR_INDEX. */
TERN_API tern_status tern_data_get_field(const tern_data* data, int32_t index, tern_data_field* field) TERN_NOEXCEPT;

/* ---- batches ---- */

/* The next batch, in the order of the epoch, augmented; the position moves behind it.
 * batch      samples, 1 to 2^24; may be more than there are
 * tensors    [num_tensors] one for each field, [batch, ...]; retained for the caller, who releases each. Their memory
 *            is used again when nobody holds them any more
 * Errors     TERN_ERR_INVALID_ARGUMENT, TERN_ERR_MEMORY, TERN_ERR_LIMIT (TERN_DATA_DROP_LAST and more than an epoch) */
TERN_API tern_status tern_data_next(tern_data* data, int64_t batch, const tern_tensor** tensors,
                                    int32_t num_tensors) TERN_NOEXCEPT;
/* Samples `begin` and following in the order of the source, not augmented, as for a pass through all of them:
 *   for (begin = 0; begin < tern_data_num_samples(data); begin += count) tern_data_get(data, begin, 32, ...)
 * count    how many there are: less than `batch` at the end
 * Errors   TERN_ERR_INDEX (begin), TERN_ERR_INVALID_ARGUMENT, TERN_ERR_MEMORY */
TERN_API tern_status tern_data_get(const tern_data* data, int64_t begin, int64_t batch, const tern_tensor** tensors,
                                   int32_t num_tensors, int64_t* count) TERN_NOEXCEPT;
/* Samples drawn so far, with those left out by TERN_DATA_DROP_LAST: all that there is to save of a data set. Position p
 * is in epoch p / tern_data_num_samples. -1 for NULL. */
TERN_API int64_t tern_data_position(const tern_data* data) TERN_NOEXCEPT;
/* What is drawn next is what it would have been. Errors: TERN_ERR_INVALID_ARGUMENT (negative). */
TERN_API tern_status tern_data_seek(tern_data* data, int64_t position) TERN_NOEXCEPT;

/* Changes pictures as they are drawn; what becomes of each follows from the seed and its position alone. First they are
 * moved, then mirrored, then pixel x becomes ((x - m) c + m) b, m being the mean of the picture, b and c uniform around
 * 1. u8 is rounded and cut to 0..255. */
typedef struct tern_augmentation_options {
  uint32_t struct_size;
  int32_t field;     /* index of a field u8 or f32 [height, width, channels] */
  float flip;        /* probability with which left and right are swapped */
  int32_t shift;     /* most pixels by which it is moved along each axis, less than its size */
  float fill;        /* what comes in from outside when it is moved */
  float brightness;  /* b is from 1 - brightness to 1 + brightness; at most 1 */
  float contrast;    /* c likewise */
} tern_augmentation_options;
#define TERN_AUGMENTATION_OPTIONS_INIT { (uint32_t)sizeof(tern_augmentation_options), 0, 0, 0, 0, 0, 0 }
TERN_API tern_status tern_augmentation_options_init(tern_augmentation_options* options, size_t size) TERN_NOEXCEPT;
/* NULL: pictures are drawn as they are.
 * Errors: TERN_ERR_INDEX, TERN_ERR_SHAPE (the field), TERN_ERR_INVALID_ARGUMENT. */
TERN_API tern_status tern_data_set_augmentation(tern_data* data,
                                                const tern_augmentation_options* options) TERN_NOEXCEPT;

/* ---- tokenizers made of texts ---- */

typedef struct tern_tokenizer_train_options {
  uint32_t struct_size;
  int32_t num_special;
  const char* const* special;  /* [num_special] special tokens, which get the first ids: "<|endoftext|>" */
  int64_t min_count;           /* pairs that are there less often are not merged; 0 = 1 */
} tern_tokenizer_train_options;
#define TERN_TOKENIZER_TRAIN_OPTIONS_INIT { (uint32_t)sizeof(tern_tokenizer_train_options), 0, NULL, 0 }
TERN_API tern_status tern_tokenizer_train_options_init(tern_tokenizer_train_options* options,
                                                       size_t size) TERN_NOEXCEPT;
/* Byte-level BPE of a text, cut into words by the rule of GPT-2: special tokens, the 256 bytes, then a token for each
 * of the most frequent pairs; of pairs that are equally frequent the one with the smaller ids comes first. Any text is
 * encoded, and comes back. Words of more than 512 bytes are counted in parts.
 * num_tokens  of the vocabulary, at least 256 and those that are special; fewer come of a text with fewer pairs
 * Errors      TERN_ERR_INVALID_ARGUMENT (num_tokens, a special token, no text), TERN_ERR_LIMIT */
TERN_API tern_status tern_tokenizer_train(const char* text, size_t bytes, int32_t num_tokens,
                                          const tern_tokenizer_train_options* options,
                                          tern_tokenizer** tokenizer) TERN_NOEXCEPT;
/* Of files. Errors: also TERN_ERR_NOT_FOUND, TERN_ERR_IO. */
TERN_API tern_status tern_tokenizer_train_files(const char* const* paths, int32_t num_paths, int32_t num_tokens,
                                                const tern_tokenizer_train_options* options,
                                                tern_tokenizer** tokenizer) TERN_NOEXCEPT;
/* Writes a file tokenizer.json, which Hugging Face's library and `tern edit --tokenizer` read, over `path` when it is
 * complete. Errors: TERN_ERR_UNSUPPORTED (another kind of tokenizer than those that are trained here), TERN_ERR_IO. */
TERN_API tern_status tern_tokenizer_save(const tern_tokenizer* tokenizer, const char* path) TERN_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
