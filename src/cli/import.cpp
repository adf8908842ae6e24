// SPDX-License-Identifier: Apache-2.0
// tern import: a .tern file from a model of another format.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "cli/inputs.h"
#include "cli/settings.h"
#include "tern/import.h"

namespace tern::cli {
namespace {

#ifdef TERN_WITH_IMPORT
char unfinished[4096], unchecked[4096];  // the file that is being written, and its name when it is whole

void end_import(int signal) {
  ::unlink(unfinished);
  ::unlink(unchecked);
  static constexpr char kText[] = "\ntern: interrupted\n";
  if (::write(2, kText, sizeof kText - 1) < 0) {
  }
  ::_exit(128 + signal);
}

// While it lives, Ctrl-C and SIGTERM leave no unfinished file.
struct CleanEnd {
  explicit CleanEnd(const std::string& output) {
    std::snprintf(unchecked, sizeof unchecked, "%s", output.c_str());
    std::snprintf(unfinished, sizeof unfinished, "%s.tmp%d.0", output.c_str(), (int)::getpid());
    for (const int s : {SIGINT, SIGTERM}) std::signal(s, end_import);
  }
  ~CleanEnd() {
    for (const int s : {SIGINT, SIGTERM}) std::signal(s, SIG_DFL);
  }
};
#endif

#ifdef TERN_WITH_IMPORT
struct Plans {
  tern_memory_report memory = TERN_MEMORY_REPORT_INIT;
  bool vary = false;  // a plan for each combination of sizes
};

// Makes the plans that an app would, so that the library says what will be slow. Sizes that a model does not take say
// nothing.
Plans try_plans(const tern_model* model) {
  Plans plans;
  Handle<tern_session> session;
  if (make_session(model, nullptr, 0, &session) != kDone) return plans;
  for (int32_t s = 0; s < tern_model_num_signatures(model); ++s) {
    const auto dims = usual_dims(model, s);
    (void)tern_session_prepare(session.get(), s, dims.empty() ? nullptr : dims.data(), (int32_t)dims.size());
    for (int32_t i = 0; i < tern_model_num_tensors(model, s, TERN_ROLE_INPUT); ++i) {
      tern_tensor_info info = TERN_TENSOR_INFO_INIT;
      if (tern_model_get_tensor(model, s, TERN_ROLE_INPUT, i, &info) != TERN_OK) continue;
      for (int32_t d = 0; d < info.rank; ++d) plans.vary = plans.vary || info.dims[d] < 0;
    }
  }
  (void)tern_session_memory(session.get(), &plans.memory);
  return plans;
}
#endif

#ifdef TERN_WITH_IMPORT
void print_recipes(bool json) {
  Json j;
  j.begin_list();
  for (int32_t i = 0; i < tern_import_num_recipes(); ++i) {
    tern_recipe r = TERN_RECIPE_INIT;
    if (tern_import_get_recipe(i, &r) != TERN_OK) continue;
    if (json) j.begin_object().add("name", r.name).add("task", r.task).add("about", r.about).end();
    else std::printf("  %-33s %s: %s\n", r.name, r.task, r.about);
  }
  if (json) j.print();
}
#endif

#ifdef TERN_WITH_IMPORT
// What the result is called: as the file without its ending, or as the folder of a model that is one.
std::string usual_name(const std::string& source) {
  struct stat about;
  const size_t slash = source.rfind('/') + 1;  // 0 without one
  std::string folder;
  if (::stat(source.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) folder = source;
  else if (source.substr(slash) == "config.json") folder = slash ? source.substr(0, slash) : ".";
  else return stem(source) + ".tern";
  char* const whole = ::realpath(folder.c_str(), nullptr);
  const std::string path = whole ? whole : folder, name = path.substr(path.rfind('/') + 1);
  std::free(whole);
  return (name.empty() ? "model" : name) + ".tern";
}
#endif

int run(const Arguments& a) {
#ifdef TERN_WITH_IMPORT
  if (a.has("--recipes")) return print_recipes(a.has("--json")), kDone;
  if (a.words().empty()) return complain("import: SOURCE is missing (see: tern import --help)"), kUsage;
  const std::string& source = a.words()[0];
  const char* given = a.value("-o");
  const std::string output = given ? given : usual_name(source);
  std::string labels, shapes, values;
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  for (const std::string& s : a.values("--input-shape")) {
    std::string name, shape;
    std::vector<int64_t> dims;
    if (!split_pair(s, &name, &shape) || name.empty())
      return complain("--input-shape %s: NAME=1x3x480x640 is needed", s.c_str()), kUsage;
    if (!parse_shape(shape, &dims)) return kUsage;
    shapes += (shapes.empty() ? "" : ";") + s;
  }
  for (const std::string& s : a.values("--input-value")) {
    std::string name, number;
    if (!split_pair(s, &name, &number) || name.empty() || number.empty())
      return complain("--input-value %s: NAME=NUMBER is needed", s.c_str()), kUsage;
    values += (values.empty() ? "" : ";") + s;
  }
  if (!values.empty()) options.input_values = values.c_str();
  if (!shapes.empty()) options.input_shapes = shapes.c_str();
  options.recipe = a.value("--recipe");
  options.task = a.value("--task");
  std::string settings;
  if (const int code = read_settings(a, &settings)) return code;
  options.settings = settings.c_str();
  options.weights = a.value("--weights");
  options.cache = a.value("--cache");
  options.activations = a.value("--activations");
  if (const char* path = a.value("--labels")) {
    if (!read_whole_file(path, 16 << 20, &labels)) return kNotFound;
    options.labels = labels.c_str();
  }
  progress("importing %s ...", source.c_str());
  const double begin = now_seconds();
  // An old file stays until the new one is known to be of use.
  const std::string fresh = unchecked_name(output);
  std::unique_ptr<const CleanEnd> clean;
  if (fresh != output) clean = std::make_unique<const CleanEnd>(fresh);
  const tern_status s = tern_import_file(source.c_str(), fresh.c_str(), &options);
  progress("%s", "");
  if (s != TERN_OK) {
    complain("%s: %s [%s]", source.c_str(), printable(tern_import_error(), 4000).c_str(), tern_status_name(s));
    // What the library calls an argument stands on the command line here.
    return s == TERN_ERR_INVALID_ARGUMENT ? kUsage : exit_code(s);
  }
  // What was written is opened as an app would.
  Handle<tern_context> context;
  Handle<tern_model> model;
  std::vector<std::string> warnings;
  if (const int code = make_context(a, &context, &warnings)) return code;
  int bad = load_model(context.get(), fresh, 0, &model);
  if (bad == kDone) bad = try_task(model.get(), output);
  if (bad == kDone) bad = put_in_place(fresh, output);
  if (bad != kDone) {
    if (fresh != output) ::unlink(fresh.c_str());
    return bad;
  }
  clean.reset();
  const double seconds = now_seconds() - begin;
  const Plans plans = try_plans(model.get());
  const char* task = tern_model_find_metadata(model.get(), "task");
  const char* fixed = tern_model_find_metadata(model.get(), "import.fixed");
  if (a.has("--json")) {
    Json j;
    j.begin_object()
        .add("file", output)
        .add("signatures", tern_model_num_signatures(model.get()))
        .add("seconds", seconds);
    if (task) j.add("task", task);
    if (fixed) j.add("fixed", fixed);
    j.add("sizes_vary", plans.vary).add("plans", plans.memory.num_plans).add("plan_bytes", plans.memory.plan_bytes);
    j.begin_list("warnings");
    for (const std::string& w : warnings) j.add(nullptr, w);
    j.print();
    return kDone;
  }
  int32_t decode = -1;
  const bool language = !task && tern_model_find_signature(model.get(), "prefill", &decode) == TERN_OK &&
                        tern_model_find_signature(model.get(), "decode", &decode) == TERN_OK;
  const char* kind = task       ? ", task "
                     : language ? ", a language model (tern chat, tern generate)"
                                : ", no task that is known (--task)";
  std::printf("%s: %d signature%s%s%s, made in %.1f s\n", output.c_str(), tern_model_num_signatures(model.get()),
              tern_model_num_signatures(model.get()) == 1 ? "" : "s", kind, task ? printable(task).c_str() : "",
              seconds);
  if (fixed)
    std::printf("  fixed, since the network takes no other size beside it: %s\n    (--input-shape chooses another)\n",
                printable(fixed, 460).c_str());
  if (plans.vary && plans.memory.num_plans > 0)
    std::printf(
        "  sizes vary: a session keeps a plan for each of the last 8 combinations (tern_session_options.max_plans); "
        "one of usual sizes takes %s\n",
        bytes_text((double)plans.memory.plan_bytes / plans.memory.num_plans).c_str());
  for (const std::string& w : warnings) std::printf("  slow: %s\n", printable(w.c_str(), 460).c_str());
  return kDone;
#else
  (void)a;
  complain("import: this build has no importer; build with -DTERN_BUILD_IMPORT=ON");
  return kFailed;
#endif
}

}  // namespace

const Command& import_command() {
  static const Command command = {
      "import",
      "SOURCE -o FILE",
      "makes a .tern file from an ONNX, TFLite or GGUF file or a Hugging Face folder",
      "The kind of SOURCE is told by its content; a folder is a language model with config.json, its weights as "
      "safetensors, "
      "and tokenizer.json if it has one. An existing FILE is replaced when the new one is complete.\n",
      "  tern import ssd.tflite -o ssd.tern --labels classes.txt\n"
      "  tern import yolo.onnx -o yolo.tern --task detector --labels names.txt --set score=0.4\n"
      "  tern import SmolLM2-135M -o smol.tern --weights f16\n"
      "  tern import face.onnx -o face.tern --input-shape input.1=1x3x480x640\n"
      "  tern import vad.onnx -o vad.tern --input-value sr=16000 --input-shape input=1x576 --input-shape "
      "state=2x1x128\n",
      {{"-o", "FILE", "where to write; the default is SOURCE's name with .tern, here"},
       {"--input-shape", "NAME=SHAPE", "overrides the declared shape of an input; may be repeated"},
       {"--input-value", "NAME=NUMBER", "an ONNX input that becomes a constant, such as a switch; may be repeated"},
       {"--task", "TASK",
        "detector, classifier, segmenter, keypoints, embedder, text_detector, text_direction or text_recognizer; the "
        "default is what fits the model"},
       {"--recipe", "NAME", "what the outputs mean: a recipe's name or a file .recipe; 'none' for no task"},
       {"--recipes", nullptr, "without SOURCE: lists all recipes"},
       {"--set", "KEY=VALUE", "a key of the task's metadata, see tern info --task; may be repeated"},
       {"--labels", "FILE", "names of classes, one a line"},
       {"--weights", "FORM",
        "of a language model: f32, f16, q8_0 (8 bits, a scale for 32 numbers), q4_0, q4_1 (4 bits; a scale, or a scale "
        "and a least value, for 32), or ternary (-s, 0 and s in two bits, for models that were trained so); the "
        "default is ternary where SOURCE says so, 4 bits for a GGUF file of 4 bits, else q8_0"},
       {"--cache", "TYPE",
        "of a language model's keys and values: f16, int8 (a scale for each position and head), or f32, which "
        "--weights f32 has"},
       {"--activations", "TYPE",
        "of a language model, what meets weights of 8 and 4 bits: int16 (rounded, several times as fast; the default) "
        "or f32"},
       {"--json", nullptr, "for programs; 'warnings' tells what will be slow"}},
      0,
      1,
      run};
  return command;
}

}  // namespace tern::cli
