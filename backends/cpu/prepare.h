// SPDX-License-Identifier: Apache-2.0
// How nodes become prepared kernel calls: each file `backends/cpu/ops_<family>.cpp` lists the operators that it maps.
#pragma once
#include <algorithm>
#include <array>
#include <deque>
#include <type_traits>

#include "base/checked.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/kernel.h"
#include "ops/op.h"
#include "ops/ops_generated.h"
#include "runtime/backend.h"

namespace tern::cpu {

// One kernel call of a plan.
struct Call {
  KernelFn fn;
  const void* args;
  int64_t units;
  int32_t threads;  // among which the units are split
  int32_t node;
  size_t scratch;  // bytes for each thread
};

// A pointer inside an argument struct that follows its slot.
struct Patch {
  void** field;
  int32_t slot;
  uint64_t offset;
};

// What a kernel makes in the workspace of a value. form: whatever else it depends on.
struct Made {
  KernelFn by = nullptr;
  ValueId of = kNoValue;
  int32_t form = 0;
  bool operator==(const Made&) const = default;
};

// What a plan owns. Addresses of arguments never change.
struct PlanMemory {
  std::deque<std::unique_ptr<unsigned char[]>> arguments;
  std::deque<Block> prepared;  // weights that change, in another order
  std::deque<std::unique_ptr<Graph>> graphs;
  std::deque<int32_t> error_flags;  // set by kernels that find a bad index
  std::vector<void**> workspace_fields;
  Made made;  // lies in the workspace behind the last call so far
  uint64_t workspace_bytes = 0, prepared_bytes = 0;
};

// Where derived bytes lie: in a slot, or in memory of the plan.
struct Origin {
  int32_t slot = -1;
  void* data = nullptr;
};

class Prepare {
 public:
  Prepare(const Partition& partition, int32_t node, const Kernels& kernels, const tern_allocator& allocator,
          const ThreadPool& pool, PlanMemory& memory, std::vector<Call>& calls, std::vector<Patch>& patches)
      : node(partition.graph->nodes[(size_t)node]),
        g(*partition.graph),
        k(kernels),
        partition_(partition),
        node_index_(node),
        allocator_(allocator),
        pool_(pool),
        memory_(memory),
        calls_(calls),
        patches_(patches) {}

  const Node& node;
  const Graph& g;
  const Kernels& k;

  // Of products of 8-bit integers.
  const MatmulInt8Kernels& matmul_int8() const { return *(pool_.tiles() ? with_tiles(k) : k).matmul_int8; }
  bool has(int i) const { return i < (int)node.in.size() && node.in[(size_t)i] != kNoValue; }
  const Value& in(int i) const { return g.value(node.in[(size_t)i]); }
  const Value& out(int i) const { return g.value(node.out[(size_t)i]); }

  // A zeroed (default-constructed) argument struct that lives as long as the plan.
  template <class Args>
  Args& args() {
    memory_.arguments.push_back(std::unique_ptr<unsigned char[]>(new unsigned char[sizeof(Args) + 64]));
    return *new ((void*)(((uintptr_t)memory_.arguments.back().get() + 63) & ~(uintptr_t)63)) Args();
  }
  // Plain data for tables.
  template <class T>
  T* array(size_t n) {
    memory_.arguments.push_back(std::unique_ptr<unsigned char[]>(new unsigned char[n * sizeof(T) + 64]()));
    return (T*)(((uintptr_t)memory_.arguments.back().get() + 63) & ~(uintptr_t)63);
  }
  // Makes `field` point at a value's bytes (plus byte_offset) in every run.
  template <class T>
  void pointer(T*& field, ValueId v, uint64_t byte_offset = 0) {
    const Location& loc = partition_.locations[(size_t)v];
    patches_.push_back({(void**)(void*)&field, loc.slot, loc.offset + byte_offset});
  }
  // Elements from one row (pixel) of an output to the next.
  int64_t row_step(ValueId v) const {
    const Location& loc = partition_.locations[(size_t)v];
    const Value& value = g.value(v);
    return loc.pitch ? (int64_t)(loc.pitch / dtype_size(value.dtype)) : value.shape[value.shape.rank - 1];
  }
  const Location& location(ValueId v) const { return partition_.locations[(size_t)v]; }
  // Makes `field` point at the table of a paged value's pages; returns the offset from a page's begin to the value.
  template <class T>
  uint64_t pages(T*& field, ValueId v) {
    const Location& loc = partition_.locations[(size_t)v];
    patches_.push_back({(void**)(void*)&field, loc.slot, 0});
    return loc.offset;
  }
  // Makes `field` point at memory that all nodes of the plan share: its content lasts from call to call of one node.
  template <class T>
  void workspace(T*& field, uint64_t bytes) {
    memory_.workspace_fields.push_back((void**)(void*)&field);
    memory_.workspace_bytes = std::max(memory_.workspace_bytes, bytes);
    memory_.made = {};
  }
  // The same for `bytes` that a kernel makes. True: a node before made them, and nobody used the workspace since.
  template <class T>
  bool workspace(T*& field, uint64_t bytes, const Made& made) {
    const bool there = memory_.made == made;
    workspace(field, bytes);
    memory_.made = made;
    return there;
  }
  // A parameter or constant that no run of the plan changes.
  bool fixed(ValueId v) const { return partition_.fixed[(size_t)v]; }
  // Bytes made from weights: once, shared with all plans that want the same, where the sources are fixed; else before
  // every use. make: units [begin, end) of `units`; Args: plain data without gaps, which says all of what is made.
  // sources: at most kSources, in the order in which `make` gets them; kNoValue gives NULL.
  static constexpr size_t kSources = 32;
  template <class Args>
  using Make = void (*)(const Args& args, const void* const* sources, void* target, int64_t begin, int64_t end);
  template <class Args>
  tern_status derive(std::span<const ValueId> sources, const Args& args, Make<Args> make, int64_t units, uint64_t bytes,
                     double unit_flops, Origin* out) {
    static_assert(std::has_unique_object_representations_v<Args>);
    struct Recipe {
      Args args;
      Make<Args> make;
      int64_t units;
      uint64_t given;  // bit i: source i
      int32_t count;
    };
    Recipe r{args, make, units, 0, (int32_t)sources.size()};
    std::vector<ValueId> given;
    bool all_fixed = true;
    for (size_t i = 0; i < sources.size(); ++i) {
      if (sources[i] == kNoValue) continue;
      r.given |= (uint64_t)1 << i;
      given.push_back(sources[i]);
      all_fixed = all_fixed && fixed(sources[i]);
    }
    if (!all_fixed) {
      struct Call {
        Recipe recipe;
        const void* sources[kSources];
        void* target;
      };
      Call& c = this->args<Call>();
      c.recipe = r;
      for (size_t i = 0; i < sources.size(); ++i)
        if (sources[i] != kNoValue) pointer(c.sources[i], sources[i]);
      TERN_TRY(prepared(bytes, &c.target));
      *out = {-1, c.target};
      call(
          [](const void* p, int64_t begin, int64_t end, void*) {
            const Call& c = *(const Call*)p;
            c.recipe.make(c.recipe.args, c.sources, c.target, begin, end);
          },
          &c, units, unit_flops, 0);
      return TERN_OK;
    }
    DerivedOrder order;
    order.bytes = bytes;
    order.words.assign((const char*)&args, sizeof args);
    order.words.append((const char*)&make, sizeof make).append((const char*)&r.given, sizeof r.given);
    order.args = std::make_shared<const Recipe>(r);
    order.make = [](const void* p, const void* const* from, void* target) {
      const Recipe& recipe = *(const Recipe*)p;
      const void* all[kSources] = {};
      for (int32_t i = 0, k = 0; i < recipe.count; ++i)
        if (recipe.given >> i & 1) all[i] = from[k++];
      recipe.make(recipe.args, all, target, 0, recipe.units);
      return (tern_status)TERN_OK;
    };
    *out = {};
    return partition_.derive(partition_.owner, given, order, &out->slot);
  }
  // Makes `field` point at derived bytes (plus byte_offset) in every run.
  template <class T>
  void pointer(T*& field, const Origin& origin, uint64_t byte_offset = 0) {
    if (origin.slot >= 0) patches_.push_back({(void**)(void*)&field, origin.slot, byte_offset});
    else field = (T*)((char*)origin.data + byte_offset);
  }
  // Memory of the plan: for what is made anew at every run.
  tern_status prepared(uint64_t bytes, void** out) {
    if (!checked_add(memory_.prepared_bytes, bytes, &memory_.prepared_bytes)) memory_.prepared_bytes = UINT64_MAX;
    TERN_TRY(check_room(partition_, memory_.prepared_bytes));
    Block block;
    TERN_TRY(block.allocate(allocator_, bytes));
    memory_.prepared.push_back(std::move(block));
    *out = memory_.prepared.back().data();
    return TERN_OK;
  }
  // A kernel that sets this to != 0 makes the run fail with TERN_ERR_INDEX.
  int32_t* error_flag() {
    memory_.error_flags.push_back(0);
    return &memory_.error_flags.back();
  }
  // Appends a call. flops: of one unit, for the choice of the number of threads (3 microseconds of work are worth a
  // thread).
  void call(KernelFn fn, const void* args, int64_t units, double flops, size_t scratch);
  // A graph that lives as long as the plan.
  Graph& keep(Graph graph) {
    memory_.graphs.push_back(std::make_unique<Graph>(std::move(graph)));
    return *memory_.graphs.back();
  }
  int32_t max_threads() const { return pool_.num_threads(); }

 private:
  const Partition& partition_;
  int32_t node_index_;
  const tern_allocator& allocator_;
  const ThreadPool& pool_;
  PlanMemory& memory_;
  std::vector<Call>& calls_;
  std::vector<Patch>& patches_;
};

// How the CPU runs one operator.
struct CpuOp {
  const Op* op;  // NULL: of all that have a kind
  // Why these dtypes, shapes or attributes have no kernel; NULL: there is one.
  const char* (*refuses)(const Graph& g, const Node& n);
  tern_status (*prepare)(Prepare& p);
  bool writes_pitch = false;  // asks for the row step of its output
};

// A list in which operators that were left out of the build refer to no function, so that the linker drops these.
template <size_t N>
consteval std::array<CpuOp, N> without_left_out(const CpuOp (&list)[N]) {
  std::array<CpuOp, N> present{};
  for (size_t i = 0; i < N; ++i) {
    present[i] = list[i];
    if (list[i].op == &op_left_out) present[i].refuses = nullptr, present[i].prepare = nullptr;
  }
  return present;
}

// One list for each file ops_<family>.cpp.
std::span<const CpuOp> cpu_ops_encoded();
std::span<const CpuOp> cpu_ops_matmul();
std::span<const CpuOp> cpu_ops_conv();
std::span<const CpuOp> cpu_ops_elementwise();
std::span<const CpuOp> cpu_ops_reduce();
std::span<const CpuOp> cpu_ops_shape();
std::span<const CpuOp> cpu_ops_vision();
std::span<const CpuOp> cpu_ops_state();
std::span<const CpuOp> cpu_ops_quant();
std::span<const CpuOp> cpu_ops_int8();
std::span<const CpuOp> cpu_ops_grad();
std::span<const CpuOp> cpu_ops_scatter();
std::span<const CpuOp> cpu_ops_attention();
std::span<const CpuOp> cpu_ops_regions();
std::span<const CpuOp> cpu_ops_loss();
std::span<const CpuOp> cpu_ops_recurrent();
std::span<const CpuOp> cpu_ops_update();
extern const CpuOp elementwise_op;  // all operators that have a kind (Op::elementwise)
// NULL if no kernel maps this operator.
const CpuOp* find_cpu_op(const Op* op);

// `fused` with the pattern chain (ops_elementwise.cpp).
const char* refuse_fused_chain(const Graph& g, const Node& n);
tern_status prepare_fused_chain(Prepare& p);

// `fused` with the pattern int8_product (ops_int8.cpp).
const char* refuse_int8_product(const Graph& g, const Node& n);
tern_status prepare_int8_product(Prepare& p);

// Makes `field` point at `count` integers as i32; one may stand for all (ops_quant.cpp).
tern_status point_at_integers(Prepare& p, ValueId id, int64_t count, const int32_t*& field);

// matmul with an encoded matrix on the right (ops_encoded.cpp).
const char* refuse_encoded_matmul(const Graph& g, const Node& n);
tern_status prepare_encoded_matmul(Prepare& p);

// f32, f16 and bf16: what kernels take as weights and biases.
inline bool is_weight_type(DType d) { return d == TERN_DTYPE_F32 || half_of(d) != 0; }

// matmul whose result is not plain (ops_grad.cpp).
const char* refuse_ordered_product(const Graph& g, const Node& n);
tern_status prepare_ordered_product(Prepare& p);

// A product in f64 whose arguments are filled in (ops_matmul.cpp).
void call_matmul_f64(Prepare& p, const MatmulF64Args& args);

// Are all inputs and outputs plain f64?
bool is_f64(const Graph& g, const Node& n);
// Are input 0 and all float inputs and outputs f32, and the latter plain?
const char* refuse_unless_f32(const Graph& g, const Node& n);

}  // namespace tern::cpu
