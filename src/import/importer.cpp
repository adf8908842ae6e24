// SPDX-License-Identifier: Apache-2.0
#include "import/importer.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/text.h"
#include "passes/eliminate.h"
#include "passes/specialize.h"

namespace tern {

// ---- overrides ----

static tern_status parse_shape(std::string_view part, std::string_view text, Shape* out) {
  Shape s;
  while (true) {
    int64_t d = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), d);
    const size_t used = (size_t)(r.ptr - text.data());
    const bool more = used < text.size() && text[used] == 'x';
    if (r.ec != std::errc() || d < 0 || s.rank == kMaxRank || (used < text.size() && !more))
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input shape '%.*s' is not of the form NAME=1x3x480x640",
                       (int)std::min<size_t>(part.size(), 120), part.data());
    s.push(d);
    if (!more) break;
    text = text.substr(used + 1);
  }
  *out = s;
  return TERN_OK;
}

// Calls take(part, name, what follows the last '=') for each part between semicolons; without a name both are empty.
// Names may hold '=' and ';': a part ends at the first semicolon that a value ("1x3x480", "-0.5e3") stands before.
template <class F>
static tern_status for_each_override(std::string_view text, F&& take) {
  while (!text.empty()) {
    if (text[0] == ';') {
      text.remove_prefix(1);
      continue;
    }
    size_t end = text.size();
    for (size_t next = text.find(';'); next != std::string_view::npos; next = text.find(';', next + 1)) {
      const size_t equals = text.rfind('=', next);
      if (equals == std::string_view::npos ||
          text.substr(equals + 1, next - equals - 1).find_first_not_of("0123456789x+-.e") != std::string_view::npos)
        continue;
      end = next;
      break;
    }
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end);
    const size_t equals = part.rfind('=');
    const bool named = equals != std::string_view::npos && equals > 0;
    TERN_TRY(take(part, named ? part.substr(0, equals) : std::string_view(),
                  named ? part.substr(equals + 1) : std::string_view()));
  }
  return TERN_OK;
}

tern_status parse_input_shapes(std::string_view text, std::vector<ShapeOverride>* out) {
  return for_each_override(text,
                           [&](std::string_view part, std::string_view name, std::string_view shape) -> tern_status {
                             ShapeOverride o;
                             o.name = std::string(name);
                             TERN_TRY(parse_shape(part, shape, &o.shape));
                             TERN_TRY(check_shape(o.shape, o.name.c_str()));
                             out->push_back(std::move(o));
                             return TERN_OK;
                           });
}

tern_status parse_input_values(std::string_view text, std::vector<InputValue>* out) {
  return for_each_override(
      text, [&](std::string_view part, std::string_view name, std::string_view number) -> tern_status {
        InputValue v;
        v.name = std::string(name);
        const char* const last = number.data() + number.size();
        const auto r = std::from_chars(number.data(), last, v.number);
        if (r.ec != std::errc() || r.ptr != last)
          return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "input value '%.*s' is not of the form NAME=16000",
                           (int)std::min<size_t>(part.size(), 120), part.data());
        out->push_back(std::move(v));
        return TERN_OK;
      });
}

tern_status check_all_used(const std::vector<ShapeOverride>& overrides, const std::string& inputs) {
  for (const ShapeOverride& o : overrides)
    if (!o.used)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "an input shape is given for '%.80s', but the inputs are %.300s",
                       o.name.c_str(), inputs.c_str());
  return TERN_OK;
}

// ---- symbolic dims ----

Shape InputSizes::shape(const InputSpec& input, const std::vector<int64_t>& sizes) const {
  Shape s;
  for (int64_t d : input.dims) {
    if (d >= 0) {
      s.push(d);
      continue;
    }
    const size_t symbol = (size_t)(-1 - d);
    s.push(fixed[symbol] >= 0 ? fixed[symbol] : sizes[symbol]);
  }
  return s;
}

namespace {

// Sizes that models with open dims accept: pictures of usual sizes, text lines, sequences; at last, first dims that are
// no batch.
constexpr struct {
  int64_t height, width, other, batch = 1;
} kUsual[] = {{48, 320, 64},  {64, 64, 32},  {32, 32, 16},     {224, 224, 128}, {256, 256, 8},
              {320, 320, 4},  {640, 640, 2}, {512, 512, 1},    {128, 128, 256}, {48, 48, 10},
              {112, 112, 77}, {1, 1, 512},   {48, 48, 48, 48}, {8, 8, 8, 8}};
constexpr int kNumUsual = (int)(sizeof kUsual / sizeof kUsual[0]);

enum class Role : uint8_t { batch, height, width, other };

// What a symbol stands for, from its place: dim 0 is the batch; of a picture the two last dims (channels first) or the
// two in the middle (channels last) are height and width. What a recurrent layer keeps is [layers, batch, size].
Role role_of(const InputSizes& s, int symbol) {
  for (const InputSpec& spec : s.inputs) {
    for (int axis = 0; axis < spec.dims.rank; ++axis) {
      if (spec.dims[axis] != -1 - symbol) continue;
      if (axis == 0) return Role::batch;
      if (spec.dims.rank == 3 && axis == 1 && spec.dims[0] >= 0 && spec.dims[2] >= 0) return Role::batch;
      if (spec.dims.rank != 4) return Role::other;
      const bool channels_last = spec.dims[3] >= 0 && spec.dims[3] <= 4 && !(spec.dims[1] >= 0 && spec.dims[1] <= 4);
      const int height = channels_last ? 1 : 2;
      return axis == height ? Role::height : axis == height + 1 ? Role::width : Role::other;
    }
  }
  return Role::other;
}

int64_t usual_size(Role role, int k) {
  switch (role) {
    case Role::batch: return kUsual[k].batch;
    case Role::height: return kUsual[k].height;
    case Role::width: return kUsual[k].width;
    default: return kUsual[k].other;
  }
}

bool may_depend_on_sizes(tern_status s) {
  return s == TERN_ERR_SHAPE || s == TERN_ERR_INVALID_ARGUMENT || s == TERN_ERR_INDEX;
}

// Can shapes be inferred for these sizes of the symbols?
bool infers(const InputSizes& sizes, const Graph& g, const std::vector<int64_t>& tried) {
  std::vector<Shape> shapes;
  for (const InputSpec& input : sizes.inputs) shapes.push_back(sizes.shape(input, tried));
  Graph out;
  return specialize_samples(g, shapes, &out) == TERN_OK;
}

// A symbol by itself, or with those that have the same hint: files often give each dim a name of its own where they
// must be equal.
std::vector<int64_t> with_size(const InputSizes& sizes, size_t symbol, bool alone, int64_t size) {
  std::vector<int64_t> tried = sizes.hints;
  for (size_t i = 0; i < tried.size(); ++i)
    if (i == symbol || (!alone && tried[i] == sizes.hints[symbol])) tried[i] = size;
  return tried;
}

// What the network takes: sizes from `min` on in steps of `multiple`. Constraints of networks repeat: they come from
// strides and from tokens that are put together.
struct Steps {
  int64_t min = 0, multiple = 0, max = INT64_MAX;  // multiple 0: no other size than the hint
};

Steps find_steps(const InputSizes& sizes, const Graph& g, size_t symbol) {
  const int64_t hint = sizes.hints[symbol];
  constexpr int64_t kMost = 256, kAway[] = {1, 2, 3, 5};
  for (const bool alone : {true, false})
    for (int64_t m = 1; m <= kMost; ++m) {
      if (hint % m != 0) continue;
      const auto takes = [&](int64_t size) { return infers(sizes, g, with_size(sizes, symbol, alone, size)); };
      bool all = true;
      for (const int64_t k : kAway) all = all && takes(hint + k * m);
      if (!all || (hint > m && hint / m % 2 == 0 && !takes(hint - m) && takes(hint / 2))) continue;
      // The smallest size: kernels must fit, and whatever is smaller does not. A batch may be empty.
      int64_t low = m, high = hint;  // `high` is good
      if (takes(low)) return {takes(0) ? 0 : low, m};
      while (high - low > m) {
        const int64_t middle = (low + high) / 2 / m * m;
        (takes(middle) ? high : low) = middle;
      }
      return {high, m};
    }
  // Or a few sizes beside the hint, as where what is left of a height must be one row. Where sizes far away are good,
  // too, as with a part of min(size, 4) rows, those between that are not are refused when a plan is made.
  constexpr int64_t kFew = 32, kFar[] = {37, 64, 101, 1000};
  for (int64_t m = 1; m <= kMost; ++m) {
    if (hint % m != 0) continue;
    const auto takes = [&](int64_t size) { return size > 0 && infers(sizes, g, with_size(sizes, symbol, true, size)); };
    Steps s{hint, m, hint};
    for (int64_t k = 0; k < kFew && takes(s.max + m); ++k) s.max += m;
    for (int64_t k = 0; k < kFew && takes(s.min - m); ++k) s.min -= m;
    if (std::all_of(std::begin(kFar), std::end(kFar), [&](int64_t k) { return takes(hint + k * m); }))
      s.max = INT64_MAX;
    if (s.min < s.max) return s;
  }
  return {};
}

// Fixes symbols that take no other size; true if there was one.
bool fix_what_cannot_vary(InputSizes* sizes, const Graph& g, std::vector<Steps>* steps) {
  const tern_error before = thread_error();
  bool any = false;
  for (size_t i = 0; i < sizes->symbols.size(); ++i) {
    if (sizes->fixed[i] >= 0) continue;
    (*steps)[i] = find_steps(*sizes, g, i);
    if ((*steps)[i].multiple == 0) sizes->fixed[i] = sizes->hints[i], any = true;
  }
  thread_error() = before;
  return any;
}

void add_symbols(const InputSizes& sizes, const std::vector<Steps>& steps, ModelDef* model) {
  Signature& signature = model->signatures[0];
  std::vector<int32_t> index(sizes.symbols.size(), -1);
  std::string fixed;
  for (size_t i = 0; i < sizes.inputs.size(); ++i) {
    for (int axis = 0; axis < sizes.inputs[i].dims.rank; ++axis) {
      const int64_t d = sizes.inputs[i].dims[axis];
      if (d >= 0) continue;
      const size_t s = (size_t)(-1 - d);
      if (!sizes.is_open(d)) {
        fixed += (fixed.empty() ? "" : "; ") + sizes.inputs[i].name.substr(0, 80) + " axis " + std::to_string(axis) +
                 " = " + std::to_string(sizes.fixed[s]);
        continue;
      }
      if (index[s] < 0) {
        index[s] = (int32_t)signature.symbols.size();
        Symbol symbol;
        symbol.name = sizes.symbols[s];
        symbol.hint = sizes.hints[s];
        symbol.multiple = steps[s].multiple;
        symbol.min = steps[s].min;
        symbol.max = steps[s].max;
        signature.symbols.push_back(std::move(symbol));
      }
      signature.symbolic_dims.push_back({(int32_t)i, axis, index[s]});
    }
  }
  constexpr size_t kMost = 4096;
  if (!fixed.empty()) model->metadata.emplace_back("import.fixed", fixed.substr(0, kMost));
}

// What the message of a failure adds: an example with every input that has open dims, names and ranks as the file has
// them.
std::string example_of_shapes(const InputSizes& sizes, const std::vector<Role>& roles) {
  std::string example;
  for (const InputSpec& spec : sizes.inputs) {
    std::string dims;
    bool open = false;
    for (int64_t d : spec.dims) {
      const Role role = d >= 0 ? Role::other : roles[(size_t)(-1 - d)];
      const int64_t size = d >= 0                 ? d
                           : role == Role::batch  ? 1
                           : role == Role::height ? 480
                           : role == Role::width  ? 640
                                                  : 512;
      dims += (dims.empty() ? "" : "x") + std::to_string(size);
      open = open || d < 0;
    }
    if (open) example += " --input-shape " + spec.name.substr(0, 80) + "=" + dims;
  }
  return example;
}

}  // namespace

tern_status build_for_sizes(InputSizes* sizes, const BuildModel& build, ModelDef* model) {
  const size_t n = sizes->symbols.size();
  sizes->fixed.assign(n, -1);
  sizes->hints.assign(n, 1);
  std::vector<Role> roles(n);
  for (size_t i = 0; i < n; ++i) roles[i] = role_of(*sizes, (int)i);
  tern_error first{};
  tern_status first_status = TERN_OK;
  for (int k = 0; k < kNumUsual; ++k) {
    for (size_t i = 0; i < n; ++i) {
      sizes->hints[i] = usual_size(roles[i], k);
      sizes->fixed[i] = -1;
    }
    const auto fix = [&](bool batch_only) {
      for (size_t i = 0; i < n; ++i)
        if (!batch_only || roles[i] == Role::batch) sizes->fixed[i] = sizes->hints[i];
    };
    bool sizes_decide = false;
    tern_status s = build(*sizes, &sizes_decide, model);
    const tern_error here = thread_error();
    const bool open_fails = s != TERN_OK;
    for (const bool batch_only : {true, false})
      if (s != TERN_OK && sizes_decide) fix(batch_only), s = build(*sizes, &sizes_decide, model);
    std::vector<Steps> steps(n);
    while (s == TERN_OK && fix_what_cannot_vary(sizes, model->signatures[0].graph, &steps))
      s = build(*sizes, &sizes_decide, model);
    if (s == TERN_OK) {
      add_symbols(*sizes, steps, model);
      return TERN_OK;
    }
    if (k == 0 || n == 0 || !may_depend_on_sizes(s)) {
      first = open_fails ? here : thread_error();
      first_status = s;
    }
    if (n == 0 || !may_depend_on_sizes(s)) break;
  }
  if (n > 0 && may_depend_on_sizes(first_status)) {
    thread_error() = first;
    add_to_error("; none of the usual sizes fits its inputs: give their shapes, as in%s",
                 example_of_shapes(*sizes, roles).c_str());
    return first_status;
  }
  thread_error() = first;
  return first_status;
}

// ---- the rest ----

tern_status Missing::report() const {
  if (!any()) return TERN_OK;
  std::string list;
  for (const auto& [what, count] : counts) {
    if (!list.empty()) list += ", ";
    list += what;
    if (count > 1) list += " x" + std::to_string(count);
  }
  return TERN_FAIL(TERN_ERR_UNSUPPORTED_OP, "not supported: %s", list.c_str());
}

void drop_unused_parameters(ModelDef& model) {
  eliminate_parameters(model);
  std::set<std::string> names;
  for (Parameter& p : model.parameters) {
    if (p.name.empty()) p.name = "weight";
    if (p.name.size() > 256) p.name.resize(256);
    std::string unique = p.name;
    for (int k = 2; !names.insert(unique).second; ++k) unique = p.name + "." + std::to_string(k);
    p.name = std::move(unique);
  }
  for_each_parameter(model, [&](Value& v) { v.name = model.parameters[(size_t)v.index].name; });
}

}  // namespace tern
