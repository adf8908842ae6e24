// SPDX-License-Identifier: Apache-2.0
// The schema of tasks, version 1: what a task needs to know of a model beyond its graph travels in the model's
// metadata, as text. task_keys() is the list of all keys; nobody reads one that is not in it.
#pragma once
#include <optional>

#include "graph/model_def.h"

namespace tern {

enum class TaskKeyKind : uint8_t {
  text,     // anything
  choice,   // one of `words`; its number counts
  number,   // one, min to max
  numbers,  // separated by commas or ends of lines, each min to max
  lines,    // one a line
  output,   // the name of an output, or some columns of it: "NAME", "NAME[4:84]", "NAME[4]". Several: one a line
  anchors,  // one level of a grid a line, see Anchors
};

struct TaskKey {
  const char* name;
  TaskKeyKind kind;
  const char* fallback;  // "": there is none
  double min, max;       // number, numbers
  const char* words;     // choice: separated by '|'
  const char* about;     // one sentence
};
std::span<const TaskKey> task_keys();
// How far apart two names are, for "did you mean": letters put in, left out, changed or swapped. Of both the first 64.
size_t name_distance(std::string_view a, std::string_view b);
// By its name, or by the last part of it where only one key has that: "score" is result.score. NULL: there is none.
const TaskKey* find_task_key(std::string_view name);

// Some columns of an output, which the schema's reader has found in the model.
struct OutputColumns {
  int32_t output = -1;          // of the signature
  int64_t first = 0, end = -1;  // -1: to the last
};

// One level of a grid of anchors: in each cell, by rows, all shapes.
//   "19x19: 0.1x0.1 0.28x0.14"  columns x rows; width x height of each shape as parts of the input's sides
//   "/8: 8x8"                   a cell each 8 pixels of the input; shapes in pixels
struct AnchorLevel {
  int64_t columns = 0, rows = 0, stride = 0;
  std::vector<std::pair<double, double>> shapes;
};

enum class Task : int32_t {
  detector,
  classifier,
  segmenter,
  keypoints,
  embedder,
  text_detector,
  text_direction,
  text_recognizer,
};

class TaskMetadata {
 public:
  // Proves all keys of the schema that the model has: their form and ranges, that outputs are there and columns within
  // them, and that labels and names are as many as there are.
  // Errors  TERN_ERR_UNSUPPORTED  the model has no task, or one of a later version
  //         TERN_ERR_CORRUPT      a key that the schema does not have, or a value that cannot be; the message names it
  static tern_status read(const ModelDef& model, TaskMetadata* out);

  Task task() const { return (Task)choice("task"); }
  int32_t signature() const { return signature_; }
  bool has(const char* key) const;  // and is not empty
  std::string text(const char* key) const;
  double number(const char* key) const;
  int64_t integer(const char* key) const { return (int64_t)number(key); }
  std::vector<double> numbers(const char* key) const;
  int choice(const char* key) const;
  std::vector<std::string> lines(const char* key) const;
  std::vector<OutputColumns> outputs(const char* key) const;
  // The one output; output -1 without the key.
  OutputColumns output(const char* key) const;
  std::vector<AnchorLevel> anchors() const;

 private:
  const ModelDef* model_ = nullptr;
  int32_t signature_ = 0;
};

// Sets a key of the schema ("score" or "result.score") or takes it away (value empty), and proves the result as
// TaskMetadata::read does; on error the model is as it was.
tern_status set_task_key(ModelDef* model, std::string_view key, std::string value);

}  // namespace tern
