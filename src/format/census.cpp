// SPDX-License-Identifier: Apache-2.0
#include "format/census.h"

#include <string>

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"
#include "format/checksum.h"

namespace tern {
namespace {

// Well-formed UTF-8 without NUL (texts go to C callers).
bool is_text(std::string_view s) {
  while (!s.empty()) {
    const size_t n = s[0] ? utf8_character(s) : 0;
    if (n == 0) return false;
    s.remove_prefix(n);
  }
  return true;
}

class Census {
 public:
  Census(const Metadata& m, const tern_limits& limits) : m_(m), limits_(limits), left_(m.header.metadata_bytes) {}

  tern_status run() {
    const fbs::Model& model = *m_.model;
    left_ -= 8;  // the root, which the verifier found there
    TERN_TRY(free_text(model.producer(), "the producer"));
    TERN_TRY(charge_vector(model.required_features()));
    if (model.required_features())
      for (const flatbuffers::String* s : *model.required_features()) TERN_TRY(name(s, "a required feature"));
    TERN_TRY(each(model.operators(), [&](const fbs::Operator& o) { return name(o.name(), "an operator"); }));

    tensors_ = (uint64_t)count(model.parameters()) + count(model.constants()) + count(model.states());
    TERN_TRY(check_limit(tensors_, limits_.max_tensors, "tensors", "max_tensors"));
    TERN_TRY(check_limit(count(model.graphs()), limits_.max_graphs, "graphs", "max_graphs"));
    const auto tensor = [&](const fbs::Tensor& t) {
      TERN_TRY(name(t.name(), "a tensor"));
      TERN_TRY(name(t.encoding(), "an encoding"));
      return charge_vector(t.shape());
    };
    TERN_TRY(each(model.parameters(), tensor));
    TERN_TRY(each(model.constants(), tensor));
    TERN_TRY(each(model.states(), [&](const fbs::State& s) {
      TERN_TRY(name(s.name(), "a state"));
      TERN_TRY(name(s.encoding(), "an encoding"));
      return charge_vector(s.shape());
    }));
    TERN_TRY(each(model.graphs(), [&](const fbs::Graph& g) { return graph(g); }));
    TERN_TRY(each(model.signatures(), [&](const fbs::Signature& s) {
      TERN_TRY(name(s.name(), "a signature"));
      TERN_TRY(charge_vector(s.symbolic_dims()));
      TERN_TRY(each(s.output_names(), [&](const fbs::Name& n) { return name(n.name(), "an output"); }));
      return each(s.symbols(), [&](const fbs::Symbol& y) { return name(y.name(), "a symbol"); });
    }));
    TERN_TRY(charge_vector(model.tokenizer()));
    return each(model.metadata(), [&](const fbs::Entry& e) {
      TERN_TRY(name(e.key(), "a metadata key"));
      return free_text(e.value(), "a metadata value");
    });
  }

 private:
  tern_status graph(const fbs::Graph& g) {
    tensors_ += count(g.values());  // both counts are below 2^32
    nodes_ += count(g.nodes());
    TERN_TRY(check_limit(tensors_, limits_.max_tensors, "tensors", "max_tensors"));
    TERN_TRY(check_limit(nodes_, limits_.max_nodes, "nodes", "max_nodes"));
    TERN_TRY(charge_vector(g.inputs()));
    TERN_TRY(charge_vector(g.outputs()));
    TERN_TRY(each(g.values(), [&](const fbs::Value& v) {
      TERN_TRY(name(v.name(), "a value"));
      return charge_vector(v.shape());
    }));
    return each(g.nodes(), [&](const fbs::Node& n) {
      TERN_TRY(name(n.name(), "a node"));
      TERN_TRY(charge_vector(n.inputs()));
      TERN_TRY(charge_vector(n.outputs()));
      TERN_TRY(charge_vector(n.subgraphs()));
      return each(n.attributes(), [&](const fbs::Attribute& a) {
        TERN_TRY(short_text(a.name(), "an attribute"));
        TERN_TRY(short_text(a.choice(), "a choice"));
        return charge_vector(a.integers());
      });
    });
  }

  // Every part of the metadata pays for its bytes once. A part that is used from many places pays each time, so that a
  // small file cannot ask for much work.
  tern_status charge(const void* part, uint64_t bytes) {
    if (checked_sub(left_, bytes, &left_)) return TERN_OK;
    return at(part, TERN_FAIL(TERN_ERR_CORRUPT, "the metadata uses the same bytes more than once"));
  }
  tern_status charge_list(const void* list, uint32_t n, uint64_t stride) {
    uint64_t bytes;
    if (!list) return TERN_OK;
    return charge(list, checked_mul_add<uint64_t>(n, stride, 4, &bytes) ? bytes : UINT64_MAX);
  }
  template <class T>
  tern_status charge_vector(const flatbuffers::Vector<T>* v) {
    return charge_list(v, count(v), flatbuffers::IndirectHelper<T>::element_stride);
  }
  // f(table) for each table of a list. A table takes 4 bytes at least, and so does the reference to it.
  template <class T, class F>
  tern_status each(const flatbuffers::Vector<flatbuffers::Offset<T>>* v, F&& f) {
    tern_status s = charge_list(v, count(v), 8);
    for (uint32_t i = 0; s == TERN_OK && i < count(v); ++i)
      if ((s = f(*v->Get(i))) != TERN_OK) error_at_offset(m_.offset(v->Get(i)));
    return s;
  }
  tern_status name(const flatbuffers::String* s, const char* what) {
    if (s && s->size() > limits_.max_name_bytes)
      return at(s, TERN_FAIL(TERN_ERR_LIMIT, "the name of %s has %u bytes, max_name_bytes is %" PRIu64, what, s->size(),
                             limits_.max_name_bytes));
    return free_text(s, what);
  }
  tern_status free_text(const flatbuffers::String* s, const char* what) {
    if (!s) return TERN_OK;
    TERN_TRY(charge(s, 5 + (uint64_t)s->size()));
    if (!is_text(text(s)))
      return at(s, TERN_FAIL(TERN_ERR_CORRUPT, "the name or text of %s is no UTF-8, or has a NUL in it", what));
    return TERN_OK;
  }
  // Shared by many attributes, so free of charge, but short.
  tern_status short_text(const flatbuffers::String* s, const char* what) {
    if (s && (s->size() > kMaxAttributeText || !is_text(text(s))))
      return at(s, TERN_FAIL(TERN_ERR_CORRUPT, "the name of %s has more than %zu bytes or is no UTF-8", what,
                             kMaxAttributeText));
    return TERN_OK;
  }
  tern_status check_limit(uint64_t n, uint64_t limit, const char* what, const char* name) {
    if (n <= limit) return TERN_OK;
    return TERN_FAIL(TERN_ERR_LIMIT, "the file has %" PRIu64 " %s or more, %s is %" PRIu64, n, what, name, limit);
  }
  tern_status at(const void* part, tern_status s) {
    error_at_offset(m_.offset(part));
    return s;
  }

  const Metadata& m_;
  const tern_limits& limits_;
  uint64_t left_;
  uint64_t tensors_ = 0, nodes_ = 0;
};

}  // namespace

tern_status open_metadata(const Bytes& file, const tern_limits& limits, Metadata* out) {
  if (file.size > limits.max_file_bytes)
    return TERN_FAIL(TERN_ERR_LIMIT, "the file has %" PRIu64 " bytes, max_file_bytes is %" PRIu64, file.size,
                     limits.max_file_bytes);
  Metadata m;
  m.file = file;
  TERN_TRY(read_header(file, limits.max_metadata_bytes, &m.header));
  const uint8_t* data = file.data + kHeaderBytes;
  const uint64_t bytes = m.header.metadata_bytes;
  if (bytes >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return TERN_FAIL(TERN_ERR_LIMIT, "the metadata has %" PRIu64 " bytes, less than 2 GiB are possible", bytes);
  if (checksum64(data, bytes) != m.header.metadata_checksum) {
    const tern_status s =
        TERN_FAIL(TERN_ERR_CHECKSUM, "the metadata of the file is damaged: fetch or make the file again");
    error_at_offset(kHeaderBytes);
    return s;
  }
  flatbuffers::Verifier::Options options;
  options.max_depth = 8;  // model, graph, node, attribute, and room for later versions
  // A table and the reference to it take 8 bytes: more tables than that are shared ones, made to waste time.
  options.max_tables = (flatbuffers::uoffset_t)(bytes / 8 + 1);
  flatbuffers::Verifier verifier(data, (size_t)bytes, options);
  if (!fbs::VerifyModelBuffer(verifier)) {
    const tern_status s =
        TERN_FAIL(TERN_ERR_CORRUPT, "the metadata of the file is malformed: fetch or make the file again");
    error_at_offset(kHeaderBytes);
    return s;
  }
  m.model = fbs::GetModel(data);
  TERN_TRY(Census(m, limits).run());
  *out = m;
  return TERN_OK;
}

}  // namespace tern
