// SPDX-License-Identifier: Apache-2.0
// The table tests/ops/native_kernels.txt says which operators run by kernels, per type and backend. It may only grow:
// an entry that became less fails, and so does one that became more until the table is made anew.
//   native_kernels_test --write     makes the table anew
#include <map>

#include "tests/ops/case.h"
#include "tests/runtime/support.h"

namespace tern::test {
namespace {

const std::string kTable = source_folder() + "tests/ops/native_kernels.txt";
constexpr const char* kHeading =
    "# Operators that run by kernels of their own, per type of the first input (without one: of the result), and\n"
    "# backend: in all of their cases (tests/ops) that a plan takes, in some, or in none (-: in plain loops, or step "
    "by\n"
    "# step if the operator has a decomposition). Only what has kernels is listed. The table may only grow; it is "
    "made\n"
    "# anew by  native_kernels_test --write  (oneDNN's column where its library is).\n";

enum class Level : int32_t { none, some, all };
constexpr const char* kLevels[] = {"-", "some", "all"};

// "operator type" -> level on the CPU, on oneDNN
using Table = std::map<std::string, std::pair<Level, Level>>;

struct Count {
  int64_t kernels = 0, cases = 0;
  Level level() const { return kernels == 0 ? Level::none : kernels < cases ? Level::some : Level::all; }
};

Table find_kernels() {
  const Ref<Context> context = make_context();
  const Backend* backends[2] = {};
  EXPECT_EQ(context->open_backend("cpu", &backends[0]), TERN_OK);
  if (has_onednn()) {
    onednn::take_all(true);
    EXPECT_EQ(context->open_backend("onednn", &backends[1]), TERN_OK);
  }
  Table table;
  for (const Op* op : all_ops()) {
    if (op->num_subgraphs > 0 || (op->flags & kControl)) continue;
    std::map<std::string, Count> counts[2];
    std::vector<ParsedCase> cases = variants(*op, 200);
    for (int32_t i = 0; i < op->cases.count; ++i) {
      std::string why;
      ParsedCase c;
      if (parse_case(*op, op->cases.items[i], &c, &why)) cases.push_back(std::move(c));
      else ADD_FAILURE() << why;
    }
    for (const ParsedCase& c : cases) {
      CaseGraph g;
      if (build_graph(c, &g) != TERN_OK) continue;
      // Where there is nothing to compute no backend is asked.
      if (g.graph.nodes.empty()) continue;
      const Node& n = g.graph.nodes.back();
      if (g.graph.value(n.out[0]).shape.elements() == 0) continue;
      const Value& first = g.graph.value(n.in.empty() || n.in[0] == kNoValue ? n.out[0] : n.in[0]);
      const std::string key = std::string(op->name) + " " + dtype_name(first.dtype);
      for (int b = 0; b < 2; ++b) {
        if (!backends[b]) continue;
        Count& count = counts[b][key];
        ++count.cases;
        count.kernels += backends[b]->api->supports(backends[b]->self, g.graph, n).kind == SupportKind::kernel;
      }
    }
    for (const auto& [key, count] : counts[0]) {
      const Level other = counts[1].count(key) ? counts[1].at(key).level() : Level::none;
      if (count.level() != Level::none || other != Level::none) table[key] = {count.level(), other};
    }
  }
  return table;
}

Table read_table() {
  Table table;
  const std::vector<char> bytes = read_file(kTable);
  std::string line;
  for (const char c : bytes) {
    if (c != '\n') {
      line += c;
      continue;
    }
    char op[64], type[16], level[2][8];
    if (std::sscanf(line.c_str(), "%63s %15s %7s %7s", op, type, level[0], level[1]) == 4 && op[0] != '#') {
      Level levels[2] = {};
      for (int b = 0; b < 2; ++b)
        for (int k = 0; k < 3; ++k)
          if (std::strcmp(level[b], kLevels[k]) == 0) levels[b] = (Level)k;
      table[std::string(op) + " " + type] = {levels[0], levels[1]};
    }
    line.clear();
  }
  return table;
}

void write_table(Table table) {
  if (!has_onednn())
    for (const auto& [key, levels] : read_table()) table[key].second = levels.second;
  std::FILE* f = std::fopen(kTable.c_str(), "wb");
  ASSERT_NE(f, nullptr) << kTable;
  std::fprintf(f, "%s%-22s %-5s %-5s %s\n", kHeading, "# operator", "type", "cpu", "onednn");
  for (const auto& [key, levels] : table) {
    const size_t space = key.find(' ');
    std::fprintf(f, "%-22s %-5s %-5s %s\n", key.substr(0, space).c_str(), key.c_str() + space + 1,
                 kLevels[(int)levels.first], kLevels[(int)levels.second]);
  }
  std::fclose(f);
}

bool g_write = false;

TEST(NativeKernels, TheTableOnlyGrows) {
  const Table found = find_kernels();
  if (g_write) return write_table(found);
  const Table committed = read_table();
  ASSERT_FALSE(committed.empty());
  const auto level = [](const Table& t, const std::string& key, bool onednn) {
    const auto i = t.find(key);
    return i == t.end() ? Level::none : onednn ? i->second.second : i->second.first;
  };
  Table all = found;
  all.insert(committed.begin(), committed.end());
  for (const auto& [key, unused] : all)
    for (const bool b : {false, true}) {
      if (b && !has_onednn()) continue;
      const Level now = level(found, key, b), before = level(committed, key, b);
      EXPECT_GE(now, before) << key << " had kernels for " << kLevels[(int)before] << " of its cases on "
                             << (b ? "onednn" : "cpu") << ", now " << kLevels[(int)now];
      EXPECT_LE(now, before) << key << " has more kernels on " << (b ? "onednn" : "cpu")
                             << ": run native_kernels_test --write";
    }
}

}  // namespace
}  // namespace tern::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  tern::test::g_write = argc > 1 && std::string_view(argv[1]) == "--write";
  return RUN_ALL_TESTS();
}
