// SPDX-License-Identifier: Apache-2.0
#include "tern/data.h"

#include <algorithm>

#include "base/checked.h"
#include "capi/text.h"
#include "data/bpe_trainer.h"
#include "data/npy.h"
#include "data/random.h"
#include "data/samples.h"
#include "data/tokens.h"
#include "text/tokenizer_json.h"

using namespace tern;
using namespace tern::capi;
using namespace tern::data;

struct tern_data {
  Ref<Context> context;
  Samples samples;
  int64_t position = 0;
  std::vector<Ref<Tensor>> batch;  // the last one, by field
  std::vector<uint8_t> spare;
  mutable InUse in_use;
};

namespace {

constexpr bool kHere = has_capability(Capability::training);
constexpr bool kTextsHere = kHere && has_capability(Capability::text);
constexpr const char* kData = "this data";
constexpr int64_t kMostBatch = 1 << 24, kDefaultLength = 512;
constexpr int32_t kMostFields = 256;
constexpr uint64_t kMostBytes = uint64_t(1) << 42;  // of a file

static_assert((int)TERN_DATA_CLASSES == (int)RecordKind::classes && (int)TERN_DATA_CHAT == (int)RecordKind::chat &&
              (int)TERN_DATA_COMPLETION == (int)RecordKind::completion);

tern_status texts_left_out(const char* entry) {
  return left_out(kHere ? Capability::text : Capability::training, entry);
}

tern_status read_data_options(const tern_data_options* given, tern_data_options* out) {
  *out = TERN_DATA_OPTIONS_INIT;
  TERN_TRY(read_options(given, out, "tern_data_options"));
  return check_flags(
      out->flags, TERN_DATA_IN_ORDER | TERN_DATA_DROP_LAST | TERN_DATA_SKIP_BAD | TERN_DATA_PAD_LAST | TERN_DATA_NO_END,
      "tern_data_options");
}

tern_status read_token_options(const tern_data_options& o, TokenOptions* out) {
  if (o.kind < TERN_DATA_FOUND || o.kind > TERN_DATA_COMPLETION)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "there is no kind %d of records", o.kind);
  if (o.num_classes < 0 || (o.classes && (o.num_classes == 0 || o.num_classes > (int32_t)kMostClasses)))
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%d classes: possible are names of 1 to %zu", o.num_classes,
                     kMostClasses);
  out->length = o.length ? o.length : kDefaultLength;
  out->skips = o.flags & TERN_DATA_SKIP_BAD;
  out->ends = !(o.flags & TERN_DATA_NO_END);
  out->pads_last = o.flags & TERN_DATA_PAD_LAST;
  out->end = o.end, out->separator = o.separator;
  out->kind = (RecordKind)o.kind;
  out->template_name = o.template_name, out->template_source = o.template_source;
  out->num_classes = o.num_classes;
  for (int32_t i = 0; o.classes && i < o.num_classes; ++i) {
    TERN_TRY(check_not_null(o.classes[i], "a class"));
    out->classes.emplace_back(o.classes[i]);
  }
  return TERN_OK;
}

tern_status check_names(const char* const* names, int32_t count) {
  if (count < 1 || count > kMostFields)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%d fields, possible are 1 to %d", count, kMostFields);
  for (int32_t i = 0; i < count; ++i) {
    TERN_TRY(check_not_null(names[i], "a name"));
    if (!*names[i]) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "field %d has an empty name", i);
    for (int32_t k = 0; k < i; ++k)
      if (std::strcmp(names[i], names[k]) == 0)
        return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "two fields are called '%s'", names[i]);
  }
  return TERN_OK;
}

void make(Context* context, std::shared_ptr<const data::Source> source, const tern_data_options& o, tern_data** data) {
  auto made = std::make_unique<tern_data>();
  made->context = Ref<Context>::share(context);
  made->samples.source = std::move(source);
  made->samples.order = {o.seed, !(o.flags & TERN_DATA_IN_ORDER), (o.flags & TERN_DATA_DROP_LAST) != 0};
  *data = made.release();
}

tern_status load_npy(const char* path, NpyArray* array) {
  Bytes file;
  TERN_TRY(check_not_null(path, "path"));
  TERN_TRY(load_file(path, LoadMode::map, kMostBytes, &file));
  return read_npy(file, path, array);
}

// From tensors, or where there are none from files.
tern_status open_arrays(tern_context* context, const char* const* names, const tern_tensor* const* arrays,
                        const char* const* paths, int32_t count, const tern_data_options* options, tern_data** data) {
  TERN_CHECK_NOT_NULL(context);
  TERN_CHECK_NOT_NULL(names);
  TERN_CHECK_NOT_NULL(data);
  tern_data_options o;
  TERN_TRY(read_data_options(options, &o));
  TERN_TRY(check_names(names, count));
  auto source = std::make_shared<data::Source>();
  for (int32_t i = 0; i < count; ++i) {
    NpyArray a;
    if (arrays) {
      TERN_TRY(check_not_null(arrays[i], "an array"));
      const Tensor* t = to_object(arrays[i]);
      t->retain();
      a.owner = std::shared_ptr<const void>(t, [](const void* held) { static_cast<const Tensor*>(held)->release(); });
      a.dtype = t->dtype(), a.shape = t->shape();
      a.data = static_cast<const uint8_t*>(t->data());
    } else {
      TERN_TRY(load_npy(paths[i], &a));
    }
    TERN_TRY(add_array(*source, names[i], a.dtype, a.shape, a.data, std::move(a.owner)));
  }
  make(to_object(context), std::move(source), o, data);
  return TERN_OK;
}

using Read = tern_status (*)(std::string_view, const char*, std::shared_ptr<const tokens::Tokenizer>,
                             const TokenOptions&, data::Source*);
tern_status open_tokens(Read read, tern_context* context, const char* path, const tern_tokenizer* tokenizer,
                        const tern_data_options* options, tern_data** data) {
  TERN_CHECK_NOT_NULL(context);
  TERN_CHECK_NOT_NULL(path);
  TERN_CHECK_NOT_NULL(tokenizer);
  TERN_CHECK_NOT_NULL(data);
  tern_data_options o;
  TERN_TRY(read_data_options(options, &o));
  TokenOptions own;
  TERN_TRY(read_token_options(o, &own));
  Bytes file;
  TERN_TRY(load_file(path, LoadMode::map, kMostBytes, &file));
  auto source = std::make_shared<data::Source>();
  TERN_TRY(read({(const char*)file.data, (size_t)file.size}, path, tokenizer->tokenizer, own, source.get()));
  make(to_object(context), std::move(source), o, data);
  return TERN_OK;
}

// ---- batches ----

tern_status check_batch(const tern_data& d, int64_t batch, int32_t num_tensors) {
  if (batch < 1 || batch > kMostBatch)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "a batch of %" PRId64 ", possible are 1 to %" PRId64, batch,
                     kMostBatch);
  const size_t fields = d.samples.source->fields.size();
  if (num_tensors < 0 || (size_t)num_tensors != fields)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "room for %d tensors, the data has %zu fields", num_tensors, fields);
  return TERN_OK;
}

// One tensor for each field; those that nobody else holds, and that have the shape, stay.
tern_status make_tensors(const tern_data& d, int64_t batch, std::vector<Ref<Tensor>>* tensors) {
  const std::vector<Field>& fields = d.samples.source->fields;
  tensors->resize(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) {
    Shape shape{batch};
    for (const int64_t n : fields[i].shape) shape.push(n);
    Ref<Tensor>& t = (*tensors)[i];
    if (!t || !t->unique() || !(t->shape() == shape)) TERN_TRY(Tensor::create(*d.context, fields[i].dtype, shape, &t));
  }
  return TERN_OK;
}

void hand_over(const std::vector<Ref<Tensor>>& batch, const tern_tensor** tensors) {
  for (size_t i = 0; i < batch.size(); ++i) tensors[i] = to_handle((const Tensor*)Ref<Tensor>(batch[i]).detach());
}

tern_status train(BpeTrainer& trainer, int32_t num_tokens, const tern_tokenizer_train_options& o,
                  tern_tokenizer** tokenizer) {
  if (o.num_special < 0 || o.num_special > 65536 || o.min_count < 0)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%d special tokens, pairs that are there %" PRId64 " times",
                     o.num_special, o.min_count);
  if (o.num_special) TERN_TRY(check_not_null(o.special, "special"));
  std::vector<std::string> special;
  for (int32_t i = 0; i < o.num_special; ++i) {
    TERN_TRY(check_not_null(o.special[i], "a special token"));
    special.emplace_back(o.special[i]);
  }
  tokens::TokenizerDef def;
  TERN_TRY(trainer.train(num_tokens, o.min_count, special, &def));
  return make_tokenizer(std::move(def), tokenizer);
}

}  // namespace

extern "C" {

tern_status tern_tensor_load_npy(tern_context* context, const char* path, tern_tensor** tensor) noexcept {
  return guard([&]() -> tern_status {
    TERN_CHECK_NOT_NULL(context);
    TERN_CHECK_NOT_NULL(tensor);
    NpyArray array;
    Ref<Tensor> t;
    TERN_TRY(load_npy(path, &array));
    TERN_TRY(Tensor::create(*to_object(context), array.dtype, array.shape, &t));
    TERN_TRY(copy_whole(t->data(), t->bytes(), array.data, array.bytes, path));
    *tensor = to_handle(t.detach());
    return TERN_OK;
  });
}

tern_status tern_data_options_init(tern_data_options* options, size_t size) noexcept {
  const tern_data_options defaults = TERN_DATA_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_data_options");
}

tern_status tern_data_create_arrays(tern_context* context, const char* const* names, const tern_tensor* const* arrays,
                                    int32_t num_arrays, const tern_data_options* options, tern_data** data) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_create_arrays");
    TERN_CHECK_NOT_NULL(arrays);
    return open_arrays(context, names, arrays, nullptr, num_arrays, options, data);
  });
}

tern_status tern_data_open_npy(tern_context* context, const char* const* names, const char* const* paths,
                               int32_t num_files, const tern_data_options* options, tern_data** data) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_open_npy");
    TERN_CHECK_NOT_NULL(paths);
    return open_arrays(context, names, nullptr, paths, num_files, options, data);
  });
}

tern_status tern_data_open_text(tern_context* context, const char* path, const tern_tokenizer* tokenizer,
                                const tern_data_options* options, tern_data** data) noexcept {
  return guard([&]() -> tern_status {
    if (!kTextsHere) return texts_left_out("tern_data_open_text");
    return open_tokens(read_text, context, path, tokenizer, options, data);
  });
}

tern_status tern_data_open_jsonl(tern_context* context, const char* path, const tern_tokenizer* tokenizer,
                                 const tern_data_options* options, tern_data** data) noexcept {
  return guard([&]() -> tern_status {
    if (!kTextsHere) return texts_left_out("tern_data_open_jsonl");
    return open_tokens(read_records, context, path, tokenizer, options, data);
  });
}

void tern_data_release(tern_data* data) noexcept {
  if (kHere) delete data;
}

tern_status tern_data_split(const tern_data* data, double share, uint64_t seed, tern_data** train,
                            tern_data** validation) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_split");
    TERN_CHECK_NOT_NULL(data);
    TERN_CHECK_NOT_NULL(train);
    TERN_CHECK_NOT_NULL(validation);
    Hold hold;
    TERN_TRY(hold.shared(data->in_use, kData));
    auto a = std::make_unique<tern_data>(), b = std::make_unique<tern_data>();
    TERN_TRY(split(data->samples, share, seed, &a->samples, &b->samples));
    a->context = b->context = data->context;
    *train = a.release(), *validation = b.release();
    return TERN_OK;
  });
}

int64_t tern_data_num_samples(const tern_data* data) noexcept { return kHere && data ? data->samples.size() : -1; }

int32_t tern_data_num_fields(const tern_data* data) noexcept {
  return kHere && data ? (int32_t)data->samples.source->fields.size() : -1;
}

int64_t tern_data_num_skipped(const tern_data* data) noexcept {
  return kHere && data ? data->samples.source->skipped : 0;
}

int64_t tern_data_num_classes(const tern_data* data) noexcept {
  return kHere && data ? data->samples.source->num_classes : 0;
}

const char* tern_data_class_name(const tern_data* data, int64_t label) noexcept {
  if (!kHere || !data) return nullptr;
  const auto& classes = data->samples.source->classes;
  return label >= 0 && (uint64_t)label < classes.size() ? classes[(size_t)label].c_str() : nullptr;
}

tern_status tern_data_get_field(const tern_data* data, int32_t index, tern_data_field* field) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_get_field");
    TERN_CHECK_NOT_NULL(data);
    TERN_CHECK_NOT_NULL(field);
    const auto& fields = data->samples.source->fields;
    if (index < 0 || (size_t)index >= fields.size())
      return TERN_FAIL(TERN_ERR_INDEX, "field %d: there are %zu", index, fields.size());
    const Field& f = fields[(size_t)index];
    tern_data_field found = TERN_DATA_FIELD_INIT;
    found.dtype = f.dtype, found.name = f.name.c_str(), found.rank = f.shape.rank;
    std::copy(f.shape.begin(), f.shape.end(), found.dims);
    return write_struct(found, field, "tern_data_field");
  });
}

tern_status tern_data_next(tern_data* data, int64_t batch, const tern_tensor** tensors, int32_t num_tensors) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_next");
    TERN_CHECK_NOT_NULL(data);
    TERN_CHECK_NOT_NULL(tensors);
    TERN_TRY(check_batch(*data, batch, num_tensors));
    Hold hold;
    TERN_TRY(hold.alone(data->in_use, kData));
    const Samples& s = data->samples;
    int64_t begin = 0, end = 0;
    TERN_TRY(s.begin_batch(data->position, batch, &begin));
    if (!checked_add(begin, batch, &end))
      return TERN_FAIL(TERN_ERR_LIMIT, "%" PRId64 " samples have been drawn: no more positions", data->position);
    TERN_TRY(make_tensors(*data, batch, &data->batch));
    for (int64_t i = 0; i < batch; ++i) {
      const int64_t index = s.drawn(begin + i);
      for (size_t k = 0; k < data->batch.size(); ++k) {
        const Field& f = s.source->fields[k];
        uint8_t* out = static_cast<uint8_t*>(data->batch[k]->data()) + (uint64_t)i * f.bytes;
        write_field(*s.source, f, index, out);
        if ((int32_t)k == s.augmentation.field)
          augment(s.augmentation, f, mix(~s.order.seed), (uint64_t)(begin + i), out, &data->spare);
      }
    }
    data->position = end;
    hand_over(data->batch, tensors);
    return TERN_OK;
  });
}

tern_status tern_data_get(const tern_data* data, int64_t begin, int64_t batch, const tern_tensor** tensors,
                          int32_t num_tensors, int64_t* count) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_get");
    TERN_CHECK_NOT_NULL(data);
    TERN_CHECK_NOT_NULL(tensors);
    TERN_CHECK_NOT_NULL(count);
    TERN_TRY(check_batch(*data, batch, num_tensors));
    const Samples& s = data->samples;
    if (begin < 0 || begin >= s.size())
      return TERN_FAIL(TERN_ERR_INDEX, "sample %" PRId64 ": there are %" PRId64, begin, s.size());
    const int64_t n = std::min(batch, s.size() - begin);
    std::vector<Ref<Tensor>> made;
    TERN_TRY(make_tensors(*data, n, &made));
    for (size_t k = 0; k < made.size(); ++k) {
      const Field& f = s.source->fields[k];
      for (int64_t i = 0; i < n; ++i)
        write_field(*s.source, f, s.at(begin + i), static_cast<uint8_t*>(made[k]->data()) + (uint64_t)i * f.bytes);
    }
    hand_over(made, tensors);
    *count = n;
    return TERN_OK;
  });
}

int64_t tern_data_position(const tern_data* data) noexcept { return kHere && data ? data->position : -1; }

tern_status tern_data_seek(tern_data* data, int64_t position) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_seek");
    TERN_CHECK_NOT_NULL(data);
    if (position < 0) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "position %" PRId64 " is negative", position);
    Hold hold;
    TERN_TRY(hold.alone(data->in_use, kData));
    data->position = position;
    return TERN_OK;
  });
}

tern_status tern_augmentation_options_init(tern_augmentation_options* options, size_t size) noexcept {
  const tern_augmentation_options defaults = TERN_AUGMENTATION_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_augmentation_options");
}

tern_status tern_data_set_augmentation(tern_data* data, const tern_augmentation_options* options) noexcept {
  return guard([&]() -> tern_status {
    if (!kHere) return left_out(Capability::training, "tern_data_set_augmentation");
    TERN_CHECK_NOT_NULL(data);
    tern_augmentation_options o = TERN_AUGMENTATION_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_augmentation_options"));
    Augmentation own;
    if (options) {
      own = {o.field, o.flip, o.shift, o.fill, o.brightness, o.contrast};
      TERN_TRY(check_augmentation(*data->samples.source, own));
    }
    Hold hold;
    TERN_TRY(hold.alone(data->in_use, kData));
    data->samples.augmentation = own;
    return TERN_OK;
  });
}

tern_status tern_tokenizer_train_options_init(tern_tokenizer_train_options* options, size_t size) noexcept {
  const tern_tokenizer_train_options defaults = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
  return init_struct(options, size, &defaults, sizeof defaults, sizeof defaults, "tern_tokenizer_train_options");
}

tern_status tern_tokenizer_train(const char* text, size_t bytes, int32_t num_tokens,
                                 const tern_tokenizer_train_options* options, tern_tokenizer** tokenizer) noexcept {
  return guard([&]() -> tern_status {
    if (!kTextsHere) return texts_left_out("tern_tokenizer_train");
    if (bytes) TERN_CHECK_NOT_NULL(text);
    TERN_CHECK_NOT_NULL(tokenizer);
    tern_tokenizer_train_options o = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_tokenizer_train_options"));
    BpeTrainer trainer;
    TERN_TRY(trainer.add({text, bytes}));
    return train(trainer, num_tokens, o, tokenizer);
  });
}

tern_status tern_tokenizer_train_files(const char* const* paths, int32_t num_paths, int32_t num_tokens,
                                       const tern_tokenizer_train_options* options,
                                       tern_tokenizer** tokenizer) noexcept {
  return guard([&]() -> tern_status {
    if (!kTextsHere) return texts_left_out("tern_tokenizer_train_files");
    TERN_CHECK_NOT_NULL(paths);
    TERN_CHECK_NOT_NULL(tokenizer);
    if (num_paths < 1) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "%d files: at least one is needed", num_paths);
    tern_tokenizer_train_options o = TERN_TOKENIZER_TRAIN_OPTIONS_INIT;
    TERN_TRY(read_options(options, &o, "tern_tokenizer_train_options"));
    BpeTrainer trainer;
    for (int32_t i = 0; i < num_paths; ++i) {
      TERN_TRY(check_not_null(paths[i], "a path"));
      Bytes file;
      TERN_TRY(load_file(paths[i], LoadMode::map, kMostBytes, &file));
      TERN_TRY(trainer.add({(const char*)file.data, (size_t)file.size}));
    }
    return train(trainer, num_tokens, o, tokenizer);
  });
}

tern_status tern_tokenizer_save(const tern_tokenizer* tokenizer, const char* path) noexcept {
  return guard([&]() -> tern_status {
    if (!kTextsHere) return texts_left_out("tern_tokenizer_save");
    TERN_CHECK_NOT_NULL(tokenizer);
    TERN_CHECK_NOT_NULL(path);
    std::string json;
    TERN_TRY(tokens::write_tokenizer_json(tokenizer->tokenizer->def(), &json));
    FileWriter file;
    TERN_TRY(file.open(path));
    TERN_TRY(file.write(json.data(), json.size()));
    return file.commit();
  });
}
}
