// SPDX-License-Identifier: Apache-2.0
// Recipes of models that no package ships, on models of the same shape whose outputs are written by hand; and the keys
// of the schema that say which pixels and which region a network sees.
#include "import/onnx_build.h"
#include "models/photo.h"

namespace tern::test {
namespace {

// Outputs are constants, whatever the picture is.
class Made {
 public:
  explicit Made(std::initializer_list<int64_t> input, int type = onnx::TensorProto::FLOAT) : model_(empty_model()) {
    onnx::GraphProto* g = model_.mutable_graph();
    value(g->add_input(), "x", input, type);
    integer(node(g, "Cast", {"x"}, {"f"}), "to", onnx::TensorProto::FLOAT);
    integer(node(g, "ReduceMean", {"f"}, {"mean"}), "keepdims", 0);
    tensor(g, "zero", {}, 0);
    node(g, "Mul", {"mean", "zero"}, {"nothing"});
  }
  // The values of the output, to be filled in.
  float* output(const char* name, std::initializer_list<int64_t> dims) {
    onnx::GraphProto* g = model_.mutable_graph();
    value(g->add_output(), name, dims);
    const std::string constant = std::string(name) + "_values";
    onnx::TensorProto* t = tensor(g, constant.c_str(), dims, 0);
    node(g, "Add", {constant.c_str(), "nothing"}, {name});
    return (float*)t->mutable_raw_data()->data();
  }
  void load(const std::string& settings, Context* context, Model* out) const {
    std::string folder = (std::filesystem::temp_directory_path() / "tern-recipes-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(folder.data()));
    const std::string source = folder + "/m.onnx", file = folder + "/m.tern";
    FILE* f = std::fopen(source.c_str(), "wb");
    ASSERT_TRUE(f);
    const std::string bytes = bytes_of(model_);
    std::fwrite(bytes.data(), 1, bytes.size(), f);
    std::fclose(f);
    tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
    if (!settings.empty()) options.settings = settings.c_str();
    ASSERT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
    ASSERT_NO_FATAL_FAILURE(test::load(file, 1, context, out));
    std::filesystem::remove_all(folder);
  }

 private:
  onnx::ModelProto model_;
};

struct Task {
  Context context;
  std::vector<Model> models;
  Vision vision;

  tern_status make(std::initializer_list<std::pair<const Made*, std::string>> parts) {
    std::vector<tern_model*> pointers;
    for (const auto& [made, settings] : parts) {
      made->load(settings, &context, &models.emplace_back());
      if (testing::Test::HasFatalFailure()) return TERN_ERR_STATE;
      pointers.push_back(models.back().get());
    }
    tern_vision* v = nullptr;
    const tern_status s = tern_vision_create(pointers.data(), (int32_t)pointers.size(), nullptr, &v);
    vision.reset(v);
    return s;
  }
  const tern_vision_result* run(const Photo& photo) {
    const tern_picture picture = photo.picture();
    const tern_vision_result* r = nullptr;
    EXPECT_EQ(tern_vision_run(vision.get(), &picture, 1, nullptr, &r), TERN_OK) << tern_last_error_message();
    return r;
  }
};

// Pixel (x, y) is 16 x + y, in all colours.
Photo ramp(int width, int height) {
  Photo p{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) p.rgb.insert(p.rgb.end(), 3, (uint8_t)(16 * x + y));
  return p;
}

TEST(Recipes, MoveNet) {
  Made made({1, 192, 192, 3}, onnx::TensorProto::INT32);
  float* points = made.output("points", {1, 1, 17, 3});
  for (int k = 0; k < 17; ++k) points[3 * k] = 0.25f + 0.01f * k, points[3 * k + 1] = 0.75f, points[3 * k + 2] = 0.5f;
  Task task;
  ASSERT_OK(task.make({{&made, ""}}));
  EXPECT_EQ(tern_vision_get_kind(task.vision.get()), TERN_VISION_KEYPOINTS);
  EXPECT_STREQ(tern_vision_keypoint_name(task.vision.get(), 16), "right ankle");
  const tern_vision_result* r = task.run(ramp(400, 200));
  ASSERT_TRUE(r);
  ASSERT_EQ(r->num_detections, 1);
  ASSERT_EQ(r->num_keypoints, 17);
  for (int k = 0; k < 17; ++k) {  // the picture lies in the middle of a square
    EXPECT_NEAR(r->keypoints[k].x, 300, 1e-3);
    EXPECT_NEAR(r->keypoints[k].y, 400 * (0.25 + 0.01 * k) - 100, 1e-3);
    EXPECT_NEAR(r->keypoints[k].visibility, 0.5, 1e-6);
  }
}

TEST(Recipes, MoveNetForMany) {
  Made made({1, 256, 256, 3}, onnx::TensorProto::INT32);
  float* rows = made.output("people", {1, 6, 56});
  for (int i = 0; i < 6; ++i) {
    float* row = rows + 56 * i;
    for (int k = 0; k < 17; ++k) row[3 * k] = 0.1f, row[3 * k + 1] = 0.2f + 0.1f * i, row[3 * k + 2] = 0.9f;
    row[51] = 0.05f, row[52] = 0.1f * i, row[53] = 0.4f, row[54] = 0.1f * i + 0.2f;
    row[55] = i == 2 ? 0.05f : 0.3f + 0.1f * i;
  }
  Task task;
  ASSERT_OK(task.make({{&made, ""}}));
  const tern_vision_result* r = task.run(ramp(200, 200));
  ASSERT_TRUE(r);
  ASSERT_EQ(r->num_detections, 5);  // one is below the least score
  ASSERT_EQ(r->num_keypoints, 17);
  EXPECT_NEAR(r->detections[0].score, 0.8, 1e-6);
  EXPECT_NEAR(r->detections[0].x0, 100, 1e-3);
  EXPECT_NEAR(r->detections[0].y0, 10, 1e-3);
  EXPECT_NEAR(r->detections[0].x1, 140, 1e-3);
  EXPECT_NEAR(r->detections[0].y1, 80, 1e-3);
  EXPECT_NEAR(r->keypoints[0].x, 140, 1e-3);
  EXPECT_NEAR(r->keypoints[0].y, 20, 1e-3);
  EXPECT_NEAR(r->keypoints[0].visibility, 0.9, 1e-6);
  EXPECT_STREQ(tern_vision_label(task.vision.get(), 0), "person");
}

TEST(Recipes, DeepLab) {
  Made made({1, 65, 65, 3});
  float* scores = made.output("classes", {1, 65, 65, 21});
  for (int i = 0; i < 65 * 65; ++i) scores[21 * i + (i % 65 < 32 ? 15 : 12)] = 1;
  Task task;
  ASSERT_OK(task.make({{&made, ""}}));
  const tern_vision_result* r = task.run(ramp(130, 65));
  ASSERT_TRUE(r && r->class_map);
  EXPECT_EQ(r->class_map[130 * 30 + 10], 15);
  EXPECT_EQ(r->class_map[130 * 30 + 120], 12);
  EXPECT_STREQ(tern_vision_label(task.vision.get(), 15), "person");
  EXPECT_STREQ(tern_vision_label(task.vision.get(), 12), "dog");
}

TEST(Recipes, ImageNetWithBackground) {
  Made made({1, 224, 224, 3});
  float* scores = made.output("scores", {1, 1001});
  scores[0] = 0.9f, scores[283] = 0.5f, scores[7] = 0.25f;
  Task task;
  ASSERT_OK(task.make({{&made, ""}}));
  const tern_vision_result* r = task.run(ramp(64, 48));
  ASSERT_TRUE(r);
  ASSERT_GE(r->num_detections, 2);
  EXPECT_EQ(r->detections[0].label, 282);
  EXPECT_NEAR(r->detections[0].score, 0.5, 1e-6);
  EXPECT_EQ(r->detections[1].label, 6);
}

// A task whose embedding is the picture that the network sees.
std::vector<float> seen(const std::string& settings, const Photo& photo) {
  onnx::ModelProto m = empty_model();
  onnx::GraphProto* g = m.mutable_graph();
  value(g->add_input(), "x", {1, 2, 2, 3});
  value(g->add_output(), "y", {1, 12});
  integer(node(g, "Flatten", {"x"}, {"y"}), "axis", 1);
  std::string folder = (std::filesystem::temp_directory_path() / "tern-recipes-XXXXXX").string();
  EXPECT_TRUE(mkdtemp(folder.data()));
  const std::string source = folder + "/m.onnx", file = folder + "/m.tern";
  FILE* f = std::fopen(source.c_str(), "wb");
  const std::string bytes = bytes_of(m);
  std::fwrite(bytes.data(), 1, bytes.size(), f);
  std::fclose(f);
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  const std::string all = "input.layout=nhwc\nembedding.normalize=no\n" + settings;
  options.task = "embedder", options.settings = all.c_str();
  EXPECT_EQ(tern_import_file(source.c_str(), file.c_str(), &options), TERN_OK) << tern_import_error();
  Task task;
  load(file, 1, &task.context, &task.models.emplace_back());
  std::filesystem::remove_all(folder);
  tern_model* model = task.models[0].get();
  tern_vision* v = nullptr;
  EXPECT_EQ(tern_vision_create(&model, 1, nullptr, &v), TERN_OK) << tern_last_error_message();
  task.vision.reset(v);
  std::vector<float> out;
  if (v)
    if (const tern_vision_result* r = task.run(photo))
      for (int i = 0; i < 4; ++i) out.push_back(r->embeddings[3 * i]);
  return out;
}

TEST(Pixels, GridOfMiddlesOrCorners) {
  const Photo photo = ramp(8, 8);
  // Pixel (0, 0) of the input lies over the picture's 0 to 4: its middle is at 2.
  EXPECT_EQ(seen("", photo),
            (std::vector<float>{16 * 1.5f + 1.5f, 16 * 5.5f + 1.5f, 16 * 1.5f + 5.5f, 16 * 5.5f + 5.5f}));
  EXPECT_EQ(seen("input.grid=corners", photo), (std::vector<float>{0, 64, 4, 68}));
}

TEST(Pixels, StretchedMiddle) {
  // A half of both sides: 2 to 6 across, 1 to 3 down.
  EXPECT_EQ(seen("input.cover=0.5", ramp(8, 4)),
            (std::vector<float>{16 * 2.5f + 1, 16 * 4.5f + 1, 16 * 2.5f + 2, 16 * 4.5f + 2}));
}

// ---- regions ----

// One box with two points, and a network that looks into its region and gives two points: the corners of its input.
struct TwoStages {
  Made boxes{{1, 100, 100, 3}}, marks{{1, 10, 10, 3}};
  TwoStages() {
    float* rows = boxes.output("rows", {1, 1, 9});
    const float row[] = {0.4f, 0.3f, 0.6f, 0.7f, 0.9f, 0.5f, 0.7f, 0.5f, 0.3f};  // the points: an upright line
    std::copy(std::begin(row), std::end(row), rows);
    float* points = marks.output("points", {1, 4});
    points[0] = points[1] = 0, points[2] = points[3] = 10;
  }
  tern_status make(Task* task, const std::string& region, const std::string& next = "") const {
    const std::string detector =
        "task=detector\ninput.layout=nhwc\noutput.boxes=rows[0:4]\noutput.scores=rows[4]\noutput.points=rows[5:9]\n"
        "boxes.form=corners\nboxes.unit=sides\npoints.unit=sides\n";
    const std::string keypoints = "task=keypoints\ninput.layout=nhwc\noutput.points=points\nkeypoints.rows=2\n";
    return task->make({{&boxes, detector + region}, {&marks, keypoints + next}});
  }
};

TEST(Regions, AroundABox) {
  const TwoStages two;
  const struct {
    const char* region;
    float x0, y0, x1, y1;  // where the corners of the region's input come to lie, in a picture of 200 x 200
  } cases[] = {
      {"", 80, 60, 120, 140},
      {"region.scale=2", 60, 20, 140, 180},
      {"region.scale=2,1", 60, 60, 140, 140},
      {"region.square=longer", 60, 60, 140, 140},
      {"region.shift=0.5,-0.25", 100, 40, 140, 120},
      {"region.turn=0,1\nregion.angle=90", 80, 60, 120, 140},
      {"region.turn=1,0\nregion.angle=90", 120, 140, 80, 60},
      {"region.turn=0,1\nregion.angle=0\nregion.square=longer", 60, 140, 140, 60},
      {"region.turn=1,0\nregion.angle=90\nregion.shift=0,-0.5", 120, 180, 80, 100},
      {"region.from=points\nregion.angle=90", 20, 60, 180, 220},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.region);
    Task task;
    ASSERT_OK(two.make(&task, c.region));
    const tern_vision_result* r = task.run(ramp(200, 200));
    ASSERT_TRUE(r);
    ASSERT_EQ(r->num_detections, 1);
    EXPECT_NEAR(r->keypoints[0].x, c.x0, 1e-3);
    EXPECT_NEAR(r->keypoints[0].y, c.y0, 1e-3);
    EXPECT_NEAR(r->keypoints[1].x, c.x1, 1e-3);
    EXPECT_NEAR(r->keypoints[1].y, c.y1, 1e-3);
  }
}

TEST(Regions, AreOfTheSameThing) {
  const TwoStages two;
  const struct {
    const char *region, *next;
    tern_status status;
  } cases[] = {{"region.of=hand", "region.of=hand", TERN_OK},
               {"region.of=hand", "region.of=body", TERN_ERR_UNSUPPORTED},
               {"region.of=hand", "", TERN_OK},
               {"", "region.of=body", TERN_OK},
               {"region.of=Hand", "region.of=hand", TERN_ERR_UNSUPPORTED}};
  for (const auto& c : cases) {
    Task task;
    EXPECT_EQ(two.make(&task, c.region, c.next), c.status) << c.region << " " << c.next;
    if (c.status == TERN_OK) continue;
    EXPECT_TRUE(std::strstr(tern_last_error_message(), "region.of")) << tern_last_error_message();
  }
}

TEST(Regions, MistakesAreNamed) {
  const TwoStages two;
  for (const char* region : {"region.turn=0,2", "region.turn=1", "region.from=points\nregion.edge=2",
                             "region.from=keypoints\nregion.around=0,5", "region.shift=1", "region.scale=1,2,3"}) {
    Task task;
    EXPECT_EQ(two.make(&task, region), TERN_ERR_CORRUPT) << region;
    EXPECT_TRUE(std::strstr(tern_last_error_message(), "region.")) << tern_last_error_message();
  }
}

// ---- key points of several outputs ----

struct Parts {
  Made made{{1, 10, 10, 3}};
  Parts() {
    float* a = made.output("a", {1, 6});
    float* b = made.output("b", {1, 3});
    const float first[] = {1, 2, 4, 3, 4, -2}, second[] = {5, 6, 1};
    std::copy(std::begin(first), std::end(first), a), std::copy(std::begin(second), std::end(second), b);
    made.output("side", {1, 1})[0] = 0.3f;
    made.output("odd", {1, 5});
  }
  tern_status make(Task* task, const std::string& settings) const {
    return task->make({{&made, "task=keypoints\ninput.layout=nhwc\nkeypoints.depth=2\n" + settings}});
  }
};

TEST(Keypoints, ComeFromSeveralOutputs) {
  Task task;
  ASSERT_OK(Parts().make(&task,
                         "output.points=a\\nb\nkeypoints.rows=3\noutput.classes=side\nlabels=right\\nleft\n"
                         "keypoints.depth_scale=2.5"));
  const tern_vision_result* r = task.run(ramp(20, 20));
  ASSERT_TRUE(r);
  ASSERT_EQ(r->num_detections, 1);
  ASSERT_EQ(r->num_keypoints, 3);
  constexpr float kWanted[3][3] = {{2, 4, 20}, {6, 8, -10}, {10, 12, 5}};  // the picture is twice the input
  for (int k = 0; k < 3; ++k) {
    EXPECT_NEAR(r->keypoints[k].x, kWanted[k][0], 1e-4);
    EXPECT_NEAR(r->keypoints[k].y, kWanted[k][1], 1e-4);
    EXPECT_NEAR(r->keypoints[k].z, kWanted[k][2], 1e-4);
  }
  EXPECT_STREQ(tern_vision_label(task.vision.get(), r->detections[0].label), "left");
}

TEST(Keypoints, MistakesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"output.points=a\\nodd\nkeypoints.rows=3", "output.points"},
      {"output.points=odd\\nside\nkeypoints.rows=2", "output.points"},
      {"output.points=a\nkeypoints.rows=2\noutput.classes=b", "output.classes"},
      {"output.points=a\nkeypoints.rows=2\noutput.classes=side\nlabels=one", "labels"},
      {"keypoints.rows=2\noutput.presence=side", "output.points"},
  };
  for (const auto& [settings, key] : cases) {
    SCOPED_TRACE(settings);
    Task task;
    EXPECT_EQ(Parts().make(&task, settings), TERN_ERR_CORRUPT);
    EXPECT_TRUE(std::strstr(tern_last_error_message(), key)) << tern_last_error_message();
  }
}

}  // namespace
}  // namespace tern::test
