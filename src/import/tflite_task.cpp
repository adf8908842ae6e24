// SPDX-License-Identifier: Apache-2.0
// What a TFLite file says of its task, for the recipes: metadata keys tflite.labels, tflite.scale, tflite.offset and
// tflite.score. A file that says it badly is imported without: nothing here is an error.
#include "import/tflite.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "import/tflite.h"
#include "import/tflite_task_generated.h"

namespace tern {
namespace {

constexpr size_t kMostLabels = 1 << 20;  // bytes

template <class T>
T little(const uint8_t* p) {
  T v = 0;
  for (size_t i = 0; i < sizeof(T); ++i) v = (T)(v | (T)p[i] << (8 * i));
  return v;
}

// A file of the archive that follows the model, if it is stored without compression.
std::string file_in_archive(std::span<const uint8_t> bytes, std::string_view name) {
  constexpr size_t kEnd = 22, kEntry = 46, kLocal = 30, kMostComment = 65535;
  if (bytes.size() < kEnd) return {};
  // The record at the archive's end, which a comment may follow.
  size_t end = bytes.size() - kEnd;
  const size_t last = end > kMostComment ? end - kMostComment : 0;
  while (little<uint32_t>(&bytes[end]) != 0x06054b50) {
    if (end == last) return {};
    --end;
  }
  size_t at = little<uint32_t>(&bytes[end + 16]);
  for (uint32_t i = little<uint16_t>(&bytes[end + 10]); i > 0; --i) {
    if (at > bytes.size() || bytes.size() - at < kEntry || little<uint32_t>(&bytes[at]) != 0x02014b50) return {};
    const uint8_t* e = &bytes[at];
    const size_t length = little<uint16_t>(e + 28), skip = length + little<uint16_t>(e + 30) + little<uint16_t>(e + 32);
    if (bytes.size() - at - kEntry < skip) return {};
    if (std::string_view((const char*)e + kEntry, length) != name) {
      at += kEntry + skip;
      continue;
    }
    const size_t size = little<uint32_t>(e + 24), local = little<uint32_t>(e + 42);
    if (little<uint16_t>(e + 10) != 0 || size > kMostLabels || local > bytes.size() || bytes.size() - local < kLocal ||
        little<uint32_t>(&bytes[local]) != 0x04034b50)
      return {};
    const size_t begin = local + kLocal + little<uint16_t>(&bytes[local + 26]) + little<uint16_t>(&bytes[local + 28]);
    if (begin > bytes.size() || bytes.size() - begin < size) return {};
    return {(const char*)&bytes[begin], size};
  }
  return {};
}

std::string clean_lines(const std::string& text) {
  std::string s;
  for (size_t i = 0; i < text.size();) {
    const size_t n = utf8_character(std::string_view(text).substr(i));
    if (n == 0 || (n == 1 && (unsigned char)text[i] < ' ' && text[i] != '\n')) {
      i += std::max<size_t>(n, 1);
      continue;
    }
    s.append(text, i, n);
    i += n;
  }
  while (!s.empty() && s.back() == '\n') s.pop_back();
  return s;
}

void add_numbers(const char* key, const std::vector<double>& list, ModelDef* model) {
  std::string s;
  for (const double v : list) {
    if (!std::isfinite(v) || std::fabs(v) > 1e9) return;
    char text[32];
    const auto r = std::to_chars(text, text + sizeof text, v);
    s += (s.empty() ? "" : ",") + std::string(text, r.ptr);
  }
  model->metadata.emplace_back(key, std::move(s));
}

// Of the picture: (value - mean) / deviation, for pixels 0..255.
void read_normalization(const tfm::Tensor& t, ModelDef* model) {
  if (!t.units()) return;
  for (const tfm::Unit* u : *t.units()) {
    const tfm::Normalization* n = u->options_as_Normalization();
    if (!n || !n->mean() || !n->deviation() || n->mean()->size() != n->deviation()->size() ||
        (n->mean()->size() != 1 && n->mean()->size() != 3))
      continue;
    std::vector<double> scale, offset;
    for (flatbuffers::uoffset_t i = 0; i < n->mean()->size(); ++i) {
      scale.push_back(1.0 / (double)n->deviation()->Get(i));
      offset.push_back(-(double)n->mean()->Get(i) / (double)n->deviation()->Get(i));
    }
    add_numbers("tflite.scale", scale, model);
    if (find_metadata(*model, "tflite.scale")) add_numbers("tflite.offset", offset, model);
    return;
  }
}

void read_output(const tfm::Tensor& t, std::span<const uint8_t> file, ModelDef* model) {
  if (t.units())
    for (const tfm::Unit* u : *t.units())
      if (const tfm::Threshold* threshold = u->options_as_Threshold();
          threshold && threshold->score() >= 0 && threshold->score() <= 1 && !find_metadata(*model, "tflite.score"))
        add_numbers("tflite.score", {(double)threshold->score()}, model);
  if (!t.files() || find_metadata(*model, "tflite.labels")) return;
  constexpr flatbuffers::uoffset_t kMostFiles = 16;  // each is looked for in the whole archive
  for (flatbuffers::uoffset_t i = 0; i < std::min(t.files()->size(), kMostFiles); ++i) {
    const tfm::File* f = t.files()->Get(i);
    constexpr int8_t kAxis = 2, kValues = 3;
    if ((f->type() != kAxis && f->type() != kValues) || !f->name()) continue;
    std::string labels = clean_lines(file_in_archive(file, f->name()->string_view()));
    if (!labels.empty()) return (void)model->metadata.emplace_back("tflite.labels", std::move(labels));
  }
}

}  // namespace

void read_task_of_source(std::span<const uint8_t> file, const tfl::Model& proto, ModelDef* model) {
  if (!proto.metadata() || !proto.buffers()) return;
  for (const tfl::Metadata* m : *proto.metadata()) {
    if (!m->name() || m->name()->string_view() != "TFLITE_METADATA" || m->buffer() >= proto.buffers()->size()) continue;
    const auto* data = proto.buffers()->Get(m->buffer())->data();
    if (!data || data->size() < 8) return;
    // Numbers of a flatbuffer lie at multiples of their sizes.
    std::vector<uint64_t> aligned(data->size() / 8 + 1);
    std::memcpy(aligned.data(), data->data(), data->size());
    flatbuffers::Verifier verifier((const uint8_t*)aligned.data(), data->size(), 64, 100'000);
    if (!tfm::ModelBufferHasIdentifier(aligned.data()) || !tfm::VerifyModelBuffer(verifier)) return;
    const tfm::Model& meta = *tfm::GetModel(aligned.data());
    if (!meta.graphs() || meta.graphs()->size() == 0) return;
    const tfm::Graph& graph = *meta.graphs()->Get(0);
    if (graph.inputs() && graph.inputs()->size() > 0) read_normalization(*graph.inputs()->Get(0), model);
    constexpr flatbuffers::uoffset_t kMostOutputs = 64;
    if (graph.outputs())
      for (flatbuffers::uoffset_t i = 0; i < std::min(graph.outputs()->size(), kMostOutputs); ++i)
        read_output(*graph.outputs()->Get(i), file, model);
    return;
  }
}

}  // namespace tern
