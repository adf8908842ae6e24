// SPDX-License-Identifier: Apache-2.0
// samples/models.txt: its lines fit together, models.md is what it makes, and every model that was fetched can be
// imported and finds something in its picture.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "models/photo.h"

namespace tern::test {
namespace {

using Row = std::vector<std::string>;

std::vector<Row> section(const std::string& name) {
  std::ifstream table(source_folder() + "/samples/models.txt");
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '[') {
      inside = line == "[" + name + "]";
      continue;
    }
    if (!inside) continue;
    Row row;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '|');) {
      const size_t begin = field.find_first_not_of(' '), end = field.find_last_not_of(' ');
      row.push_back(begin == std::string::npos ? "" : field.substr(begin, end - begin + 1));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

std::string fetched(const std::string& file) { return cache_folder() + "/" + file; }

TEST(Catalogue, FitsTogether) {
  std::set<std::string> packages, files, names;
  for (const Row& r : section("packages")) {
    ASSERT_EQ(r.size(), 3u) << r[0];
    EXPECT_TRUE(packages.insert(r[0]).second) << r[0];
    EXPECT_FALSE(r[2].empty()) << r[0] << " has no licence";
  }
  for (const Row& r : section("files")) {
    ASSERT_EQ(r.size(), 5u) << r[0];
    EXPECT_TRUE(files.insert(r[0]).second) << r[0];
    EXPECT_EQ(r[1].size(), 64u) << r[0];
    EXPECT_TRUE(packages.count(r[2])) << r[0] << ": no package " << r[2];
  }
  for (const Row& r : section("models")) {
    ASSERT_EQ(r.size(), 7u) << r[0];
    EXPECT_TRUE(names.insert(r[0]).second) << r[0];
    for (const std::string& word : words_of(r[2] + " " + r[3]))
      if (word.find('/') != std::string::npos) EXPECT_TRUE(files.count(word)) << r[0] << ": " << word;
  }
  EXPECT_GE(names.size(), 23u);
}

TEST(Catalogue, MakesThePage) {
  FILE* pipe = popen((source_folder() + "/samples/demo --list").c_str(), "r");
  ASSERT_TRUE(pipe);
  std::string made;
  char block[4096];
  for (size_t got; (got = std::fread(block, 1, sizeof block, pipe)) > 0;) made.append(block, got);
  ASSERT_EQ(pclose(pipe), 0);
  std::stringstream page;
  page << std::ifstream(source_folder() + "/samples/models.md").rdbuf();
  EXPECT_EQ(page.str(), made) << "samples/demo --list >samples/models.md makes it anew";
}

// A model and the options of `tern import` behind it.
void import_part(const std::string& part, const std::string& out) {
  const std::vector<std::string> words = words_of(part);
  std::string settings, shapes, labels, task;
  for (size_t i = 1; i + 1 < words.size(); i += 2) {
    if (words[i] == "--set") {
      settings += words[i + 1] + "\n";
    } else if (words[i] == "--input-shape") {
      shapes += (shapes.empty() ? "" : ";") + words[i + 1];
    } else if (words[i] == "--task") {
      task = words[i + 1];
    } else if (words[i] == "--labels") {
      std::stringstream text;
      text << std::ifstream(fetched(words[i + 1])).rdbuf();
      labels = text.str();
    } else {
      FAIL() << "this test does not know " << words[i];
    }
  }
  tern_import_options options = TERN_IMPORT_OPTIONS_INIT;
  if (!settings.empty()) options.settings = settings.c_str();
  if (!shapes.empty()) options.input_shapes = shapes.c_str();
  if (!task.empty()) options.task = task.c_str();
  if (!labels.empty()) options.labels = labels.c_str();
  ASSERT_EQ(tern_import_file(fetched(words[0]).c_str(), out.c_str(), &options), TERN_OK) << tern_import_error();
}

void run_model(const Row& row) {
  std::string folder = (std::filesystem::temp_directory_path() / "tern-catalogue-XXXXXX").string();
  ASSERT_TRUE(mkdtemp(folder.data()));
  Context context;
  std::vector<Model> models;
  std::vector<tern_model*> pointers;
  std::string rest = row[2];
  while (!rest.empty()) {
    const size_t plus = rest.find(" + ");
    const std::string part = rest.substr(0, plus), file = folder + "/" + std::to_string(models.size()) + ".tern";
    rest = plus == std::string::npos ? "" : rest.substr(plus + 3);
    ASSERT_NO_FATAL_FAILURE(import_part(part, file));
    ASSERT_NO_FATAL_FAILURE(load(file, 2, &context, &models.emplace_back()));
    pointers.push_back(models.back().get());
  }
  std::filesystem::remove_all(folder);
  tern_vision* made = nullptr;
  ASSERT_OK(tern_vision_create(pointers.data(), (int32_t)pointers.size(), nullptr, &made));
  const Vision vision(made);
  constexpr const char* kCommands[] = {"detect", "classify", "segment", "pose", "embed", "read"};
  EXPECT_EQ(row[1], kCommands[tern_vision_get_kind(made)]);
  Photo photo;
  ASSERT_NO_FATAL_FAILURE(read_photo(row[3].substr(row[3].find('/') + 1), &photo));
  const tern_picture picture = photo.picture();
  const tern_vision_result* r = nullptr;
  ASSERT_OK(tern_vision_run(made, &picture, 1, nullptr, &r));
  EXPECT_TRUE(r->num_detections > 0 || r->class_map) << "nothing was found in " << row[3];
  for (int32_t i = 0; i < r->num_detections; ++i) {
    const tern_detection& d = r->detections[i];
    EXPECT_TRUE(d.score >= 0 && d.score <= 1 && d.x0 <= d.x1 && d.y0 <= d.y1);
  }
  if (row[1] == "pose") EXPECT_GT(r->num_keypoints, 0);
  if (row[1] == "segment") EXPECT_TRUE(r->masks || r->class_map);
  if (row[1] == "embed") EXPECT_GT(r->embedding_size, 0);
}

TEST(Catalogue, EveryModelFindsSomething) {
  int ran = 0;
  for (const Row& row : section("models")) {
    SCOPED_TRACE(row[0]);
    std::string missing;
    for (const std::string& word : words_of(row[2] + " " + row[3]))
      if (word.find('/') != std::string::npos && !std::filesystem::exists(fetched(word))) missing = word;
    if (!missing.empty()) {
      std::printf("SKIPPED: %s: %s is not there (samples/fetch all)\n", row[0].c_str(), fetched(missing).c_str());
      continue;
    }
    run_model(row);
    ++ran;
  }
  if (!ran) TERN_SKIP("no model was fetched (samples/fetch all)");
  std::printf("%d models ran\n", ran);
}

}  // namespace
}  // namespace tern::test
