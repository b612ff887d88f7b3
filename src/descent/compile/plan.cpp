#include "descent/compile/plan.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <exception>

#include "descent/compile/memory.h"
#include "descent/compile/passes.h"
#include "descent/compile/profile.h"
#include "descent/compile/schedule.h"
#include "descent/ir/graph.h"
#include "descent/ir/op.h"

namespace descent {
namespace {

// A replicated kernel is split over threads from this many pieces (tiles) and operations on: below,
// meeting costs more than the other threads save.
constexpr std::int64_t kWide = 16;
constexpr double kWideFlops = 2e5;

struct Range {
  const std::byte *begin, *end;
  bool meets(const Range& o) const { return begin < o.end && o.begin < end; }
};

// A kernel of a replicated phase: bound once per thread where it is split, else once, for its lane.
struct Shared {
  std::vector<Kernel> kernels;
  Node* node = nullptr;  // null: a copy at the end
  std::size_t profiled = 0;
  int lane = 0;  // the thread that runs it where it is not split
  std::vector<Range> reads, writes;
  bool wide = false;
  bool meet_before = false;

  bool conflicts(const Shared& earlier) const {
    const auto any = [](const std::vector<Range>& a, const std::vector<Range>& b) {
      return std::any_of(a.begin(), a.end(), [&b](const Range& x) {
        return std::any_of(b.begin(), b.end(), [&x](const Range& y) { return x.meets(y); });
      });
    };
    return any(reads, earlier.writes) || any(writes, earlier.reads) || any(writes, earlier.writes);
  }
};

struct BoundPhase {
  bool per_shard = false;
  std::vector<std::vector<const Kernel*>> shards;  // [shard][kernel]
  std::vector<Shared> shared;
};

}  // namespace

struct Plan::Impl {
  int shards = 1, threads = 1;
  std::shared_ptr<ThreadPool> pool;
  Values outputs;  // of the graph: keeps nodes and constants alive
  Schedule order;
  MemoryPlan memory;
  std::vector<Array> input_arrays, output_arrays;
  std::shared_ptr<std::byte> arena;
  Bases bases;
  std::vector<std::byte*> scratch;  // of each thread
  std::vector<BoundPhase> phases;
  std::deque<Kernel> kept;            // of the phases' shards
  std::vector<const Kernel*> serial;  // all kernels in order, when one thread runs everything
  PlanStatistics statistics;
  std::unique_ptr<Profiler> profiler;
  std::function<void(int)> body;
  std::vector<std::exception_ptr> failures;
  std::atomic<bool> failed{false};

  void allocate_memory();
  void bind();
  Binding binding(Node& node, const std::vector<Type>& types, int shard, std::size_t thread) const;
  Kernel bind_node(Node& node, std::size_t thread) const;
  void bind_shards(Node& node, std::size_t profiled, BoundPhase& phase);
  Kernel timed(Kernel kernel, std::size_t profiled, std::size_t lane) const;
  void bind_copies();
  void order_shared(BoundPhase& phase);
  void flatten();
  void run_thread(int thread);
  void run_phase(const BoundPhase& phase, int thread);
  template <class F>
  void guarded(int thread, F&& f);
};

void Plan::Impl::allocate_memory() {
  std::size_t scratch_bytes = 0;
  for (const Node* node : order.nodes)
    scratch_bytes = std::max(scratch_bytes,
                             align_up(node->op->scratch_bytes(input_types(*node), node->outputs)));
  // Parts start a few cache lines apart, so that equal offsets do not fall on equal cache sets.
  const auto apart = [](std::size_t bytes) { return align_up(bytes, 4096) + 5 * kAlignment; };
  const auto pool_threads = static_cast<std::size_t>(pool ? pool->threads() : 1);
  const auto all_shards = static_cast<std::size_t>(shards);
  const auto shard_threads = std::min(pool_threads, all_shards);
  const std::size_t passing = apart(memory.passing_bytes), per_scratch = apart(scratch_bytes),
                    per_shard = apart(memory.shard_bytes);
  const std::size_t total = memory.shared_bytes + passing * shard_threads +
                            per_scratch * pool_threads + per_shard * all_shards;
  arena = allocate(total);
  statistics.arena_bytes = total;
  statistics.unplanned_bytes = memory.unshared_bytes;
  std::byte* at = arena.get();
  bases.shared = at;
  at += memory.shared_bytes;
  for (std::size_t t = 0; t < pool_threads; ++t, at += per_scratch) scratch.push_back(at);
  for (std::size_t t = 0; t < shard_threads; ++t, at += passing) bases.threads.push_back(at);
  for (int s = 0; s < shards; ++s, at += per_shard) bases.shards.push_back(at);
}

Binding Plan::Impl::binding(Node& node, const std::vector<Type>& types, int shard,
                            std::size_t thread) const {
  Binding b(shard, shards);
  b.in_types = types;
  b.out_types = node.outputs;
  b.scratch = scratch[thread];
  for (int i = 0; i < static_cast<int>(node.inputs.size()); ++i) {
    const Value& v = node.inputs[static_cast<std::size_t>(i)];
    const bool all = shards > 1 && v.per_shard() && node.op->collective(i);
    const bool constant = dynamic_cast<const ConstantOp*>(v.node()->op.get()) != nullptr;
    for (int s = all ? 0 : shard; s < (all ? shards : shard + 1); ++s) {
      b.constant.push_back(constant);
      b.in.push_back(memory.address(v, s, bases));
    }
  }
  for (int i = 0; i < static_cast<int>(node.outputs.size()); ++i) {
    b.out.push_back(memory.address(Value(node.shared_from_this(), i), shard, bases));
  }
  return b;
}

Kernel Plan::Impl::bind_node(Node& node, std::size_t thread) const {
  const auto types = input_types(node);
  return node.op->bind(binding(node, types, 0, thread));
}

// Shards of one thread whose operands lie in the same memory share a kernel: what is bound stays in
// the cache, too.
void Plan::Impl::bind_shards(Node& node, std::size_t profiled, BoundPhase& phase) {
  const auto types = input_types(node);
  struct Last {
    Binding binding;
    const Kernel* kernel = nullptr;
  };
  std::vector<Last> last(bases.threads.size());
  for (int s = 0; s < shards; ++s) {
    const std::size_t thread = bases.thread_of(s);
    auto& before = last[thread];
    Binding b = binding(node, types, s, thread);
    // A profile tells the shards apart.
    if (before.kernel == nullptr || profiler || !b.same_kernel(before.binding)) {
      kept.push_back(timed(node.op->bind(b), profiled, static_cast<std::size_t>(s)));
      before = {std::move(b), &kept.back()};
    }
    phase.shards[static_cast<std::size_t>(s)].push_back(before.kernel);
  }
}

Kernel Plan::Impl::timed(Kernel kernel, std::size_t profiled, std::size_t lane) const {
  return profiler ? profiler->timed(std::move(kernel), profiled, static_cast<int>(lane)) : kernel;
}

void Plan::Impl::bind() {
  const auto costs_nothing = [](const Node& node) {
    return dynamic_cast<const InputOp*>(node.op.get()) != nullptr ||
           dynamic_cast<const ConstantOp*>(node.op.get()) != nullptr ||
           (!node.inputs.empty() && node.op->view(input_types(node)).has_value());
  };
  for (const auto& phase : order.phases) {
    BoundPhase bound;
    bound.per_shard = phase.per_shard;
    bound.shards.resize(phase.per_shard ? static_cast<std::size_t>(shards) : 0);
    for (int at = phase.begin; at < phase.end; ++at) {
      Node& node = *order.nodes[static_cast<std::size_t>(at)];
      ++statistics.nodes;
      if (costs_nothing(node)) continue;
      ++statistics.kernels;
      statistics.fused += node.op->name() == "fused" ? 1 : 0;
      statistics.flops +=
          node.op->flops(input_types(node), node.outputs) * (phase.per_shard ? shards : 1);
      const std::size_t profiled = profiler ? profiler->add(node, phase.per_shard ? shards : 1) : 0;
      if (phase.per_shard) {
        bind_shards(node, profiled, bound);
        continue;
      }
      Shared k;
      k.node = &node;
      k.profiled = profiled;
      k.lane = order.lanes[static_cast<std::size_t>(at)];
      k.kernels.push_back(timed(bind_node(node, 0), profiled, 0));
      k.wide = k.kernels[0].extent >= kWide && scratch.size() > 1 &&
               node.op->flops(input_types(node), node.outputs) >= kWideFlops;
      for (std::size_t t = 1; k.wide && t < scratch.size(); ++t)
        k.kernels.push_back(timed(bind_node(node, t), profiled, t));
      for (int i = 0; i < static_cast<int>(node.inputs.size()); ++i) {
        const Value& v = node.inputs[static_cast<std::size_t>(i)];
        const bool all = shards > 1 && v.per_shard();
        for (int s = 0; s < (all ? shards : 1); ++s) {
          const auto* p = memory.address(v, s, bases);
          k.reads.push_back({p, p + v.type().bytes()});
        }
      }
      for (int i = 0; i < static_cast<int>(node.outputs.size()); ++i) {
        const Value v(node.shared_from_this(), i);
        const auto* p = memory.address(v, 0, bases);
        k.writes.push_back({p, p + v.type().bytes()});
      }
      bound.shared.push_back(std::move(k));
    }
    if (bound.shared.empty() && (bound.shards.empty() || bound.shards[0].empty()))
      continue;  // constants: nothing to meet for
    if (!bound.per_shard) order_shared(bound);
    phases.push_back(std::move(bound));
  }
  bind_copies();
  statistics.phases = static_cast<int>(phases.size());
  const bool shared_work = std::any_of(phases.begin(), phases.end(), [](const BoundPhase& p) {
    return std::any_of(p.shared.begin(), p.shared.end(),
                       [](const Shared& k) { return k.wide || k.lane > 0; });
  });
  threads = pool && (shared_work || shards > 1) ? pool->threads() : 1;
  if (threads == 1) flatten();
  failures.resize(static_cast<std::size_t>(threads));
  body = [this](int thread) { run_thread(thread); };
}

// Outputs that need a copy into their final memory: a last phase.
void Plan::Impl::bind_copies() {
  if (memory.copied_outputs.empty()) return;
  BoundPhase last;
  for (const int i : memory.copied_outputs) {
    const Value& v = outputs[static_cast<std::size_t>(i)];
    std::byte* to = output_arrays[static_cast<std::size_t>(i)].raw();
    const std::size_t bytes = v.type().bytes();
    for (int s = 0; s < (shards > 1 && v.per_shard() ? shards : 1); ++s) {
      const auto* from = memory.address(v, s, bases);
      Shared k;
      k.kernels.push_back(whole([to = to + static_cast<std::size_t>(s) * bytes, from, bytes] {
        std::memcpy(to, from, bytes);
      }));
      last.shared.push_back(std::move(k));
    }
  }
  phases.push_back(std::move(last));
}

// Threads meet before a kernel that conflicts with one since the last meeting, unless one thread
// runs both: a kernel follows those of one lane that it conflicts with.
void Plan::Impl::order_shared(BoundPhase& phase) {
  std::vector<const Shared*> since;
  for (auto& k : phase.shared) {
    std::vector<int> lanes;
    for (const Shared* earlier : since) {
      if (!k.conflicts(*earlier)) continue;
      k.meet_before = k.meet_before || k.wide || earlier->wide;
      if (std::find(lanes.begin(), lanes.end(), earlier->lane) == lanes.end())
        lanes.push_back(earlier->lane);
    }
    k.meet_before = k.meet_before || lanes.size() > 1;
    if (k.meet_before) {
      since.clear();
    } else if (!lanes.empty()) {
      k.lane = lanes[0];
    }
    since.push_back(&k);
    if (k.wide || k.lane == 0) continue;
    const auto lane = static_cast<std::size_t>(k.lane);
    k.kernels[0] = timed(bind_node(*k.node, lane), k.profiled, lane);
  }
}

void Plan::Impl::flatten() {
  for (const auto& phase : phases) {
    for (const auto& shard : phase.shards) serial.insert(serial.end(), shard.begin(), shard.end());
    for (const auto& k : phase.shared) serial.push_back(&k.kernels[0]);
  }
}

template <class F>
void Plan::Impl::guarded(int thread, F&& f) {
  if (failed.load(std::memory_order_relaxed)) return;
  try {
    f();
  } catch (...) {
    failures[static_cast<std::size_t>(thread)] = std::current_exception();
    failed.store(true, std::memory_order_relaxed);
  }
}

void Plan::Impl::run_phase(const BoundPhase& phase, int thread) {
  if (phase.per_shard) {
    guarded(thread, [&] {
      for (int s = thread; s < shards; s += threads) {
        for (const Kernel* k : phase.shards[static_cast<std::size_t>(s)]) k->run(0, k->extent);
      }
    });
    return;
  }
  for (const auto& k : phase.shared) {
    if (k.meet_before) pool->meet();
    if (!k.wide && thread != k.lane) continue;
    guarded(thread, [&] {
      const auto& kernel = k.kernels[k.wide ? static_cast<std::size_t>(thread) : 0];
      const auto begin = k.wide ? kernel.extent * thread / threads : 0;
      const auto end = k.wide ? kernel.extent * (thread + 1) / threads : kernel.extent;
      if (begin < end) kernel.run(begin, end);
    });
  }
}

void Plan::Impl::run_thread(int thread) {
  for (std::size_t i = 0; i < phases.size(); ++i) {
    if (i > 0) pool->meet();
    run_phase(phases[i], thread);
  }
}

const Array& Plan::input(int i) const {
  return impl_->input_arrays.at(static_cast<std::size_t>(i));
}
const Array& Plan::output(int i) const {
  return impl_->output_arrays.at(static_cast<std::size_t>(i));
}
int Plan::inputs() const { return static_cast<int>(impl_->input_arrays.size()); }
int Plan::outputs() const { return static_cast<int>(impl_->output_arrays.size()); }
const PlanStatistics& Plan::statistics() const { return impl_->statistics; }
const Profiler* Plan::profiler() const { return impl_->profiler.get(); }

void Plan::run() {
  thread_local const bool prepared = (prepare_thread(), true);
  (void)prepared;
  Impl& p = *impl_;
  if (p.threads == 1) {
    for (const Kernel* k : p.serial) k->run(0, k->extent);
    return;
  }
  p.pool->run(p.body);
  if (!p.failed.load(std::memory_order_relaxed)) return;
  p.failed.store(false, std::memory_order_relaxed);
  std::exception_ptr first;
  for (auto& failure : p.failures) {
    if (failure && !first) first = failure;
    failure = nullptr;
  }
  std::rethrow_exception(first);
}

void Plan::dump(std::ostream& out) const {
  const Impl& p = *impl_;
  for (const auto& phase : p.order.phases) {
    fmt::print(out, "phase {}\n",
               phase.per_shard ? fmt::format("per shard ({})", p.shards) : "once");
    for (int at = phase.begin; at < phase.end; ++at) {
      const Node& node = *p.order.nodes[static_cast<std::size_t>(at)];
      if (dynamic_cast<const InputOp*>(node.op.get()) != nullptr) continue;
      const Place& place = p.memory.places.at(
          Value(p.order.nodes[static_cast<std::size_t>(at)]->shared_from_this(), 0));
      const Buffer& b = p.memory.buffers[static_cast<std::size_t>(place.buffer)];
      fmt::print(out, "  {:<24} {:<28} {}{}{}\n", node.op->name(), to_string(node.outputs[0]),
                 b.external != nullptr
                     ? std::string("outside")
                     : fmt::format("arena +{}", b.offset + static_cast<std::size_t>(place.offset)),
                 node.op->attributes().empty() ? "" : "  " + node.op->attributes(),
                 node.scope.empty() ? "" : "  # " + node.scope);
    }
  }
  const auto& s = p.statistics;
  fmt::print(out,
             "{} nodes, {} kernels ({} fused), {} phases, arena {} bytes (without sharing {}), "
             "{:.3g} MFLOP\n",
             s.nodes, s.kernels, s.fused, s.phases, s.arena_bytes, s.unplanned_bytes,
             s.flops * 1e-6);
  for (const auto& [name, seconds] : s.pass_seconds)
    fmt::print(out, "pass {:<16} {:.3f} ms\n", name, seconds * 1e3);
}

namespace {

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Values run_passes(Values outputs, const CompileOptions& options, PlanStatistics& statistics) {
  const PassContext context{options.shards, options.pool ? options.pool->threads() : 1};
  std::vector<std::string> names;
  for (const auto& pass : passes()) names.push_back(pass.name);
  for (const auto& name : options.without) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Error(ErrorKind::usage, fmt::format("there is no compiler pass \"{}\"", name), "",
                  did_you_mean(name, names));
    }
  }
  for (const auto& pass : passes()) {
    if (std::find(options.without.begin(), options.without.end(), pass.name) !=
        options.without.end())
      continue;
    const Values before = outputs;
    statistics.pass_seconds.emplace_back(pass.name,
                                         seconds_of([&] { outputs = pass.run(before, context); }));
    if (options.verify) verify(before, outputs, pass.name);
    if (options.dump != nullptr) {
      fmt::print(*options.dump, "after {}:\n", pass.name);
      print(*options.dump, outputs);
    }
  }
  return outputs;
}

struct CopyOp final : OpBase<CopyOp> {
  bool operator==(const CopyOp&) const = default;
  std::string_view name() const override { return "copy"; }
  std::vector<Type> infer(std::span<const Type> in) const override { return {in[0]}; }
  Kernel bind(const Binding& b) const override {
    return whole(
        [from = b.in[0], to = b.out[0], n = b.out_types[0].bytes()] { std::memcpy(to, from, n); });
  }
};

// An output that lies in memory the plan does not compute (an input, a constant, a part of one) is
// copied first: that memory may be another output's destination.
Value settled(const Value& output, const Value& donated_to) {
  if (output == donated_to) return output;
  const Node* base = output.node();
  while (!base->inputs.empty() && base->op->view(input_types(*base))) base = base->inputs[0].node();
  const bool foreign = dynamic_cast<const InputOp*>(base->op.get()) != nullptr ||
                       dynamic_cast<const ConstantOp*>(base->op.get()) != nullptr;
  return foreign ? apply(CopyOp(), {output}) : output;
}

// Shape of the whole batch: the shards' rows one after another.
Shape whole_batch(const Type& type, int shards) {
  Shape s = type.shape;
  if (!type.per_shard || shards == 1) return s;
  if (s.rank() == 0) return {shards};
  s[0] *= shards;
  return s;
}

}  // namespace

Plan compile(const Fn& f, const std::vector<PlanInput>& inputs, const CompileOptions& options) {
  prepare_thread();
  auto impl = std::make_shared<Plan::Impl>();
  impl->shards = options.shards;
  impl->pool = options.pool;
  if (options.profile) impl->profiler = std::make_unique<Profiler>();
  Values placeholders;
  for (const auto& in : inputs) {
    placeholders.push_back(input(in.type, in.name));
    impl->input_arrays.push_back(
        in.storage ? in.storage : Array(in.type.dtype, whole_batch(in.type, options.shards)));
  }
  impl->outputs = run_passes(f(placeholders), options, impl->statistics);
  for (std::size_t i = 0; i < impl->outputs.size(); ++i) {
    const auto donated = options.donate.find(static_cast<int>(i));
    impl->outputs[i] =
        settled(impl->outputs[i], donated == options.donate.end()
                                      ? Value()
                                      : placeholders.at(static_cast<std::size_t>(donated->second)));
  }
  std::vector<Fixed> fixed_inputs, fixed_outputs;
  for (std::size_t i = 0; i < placeholders.size(); ++i)
    fixed_inputs.push_back({placeholders[i], impl->input_arrays[i].raw()});
  for (std::size_t i = 0; i < impl->outputs.size(); ++i) {
    const Value& v = impl->outputs[i];
    const auto donated = options.donate.find(static_cast<int>(i));
    if (donated != options.donate.end()) {
      const Array& to = impl->input_arrays.at(static_cast<std::size_t>(donated->second));
      if (to.dtype() != v.dtype() || to.bytes() != v.type().bytes()) {
        throw Error(ErrorKind::usage,
                    fmt::format("compile: output {} is {}, but is donated to an input of {}{}", i,
                                to_string(v.type()), name_of(to.dtype()), to_string(to.shape())));
      }
      impl->output_arrays.push_back(to);
    } else {
      impl->output_arrays.emplace_back(v.dtype(), whole_batch(v.type(), options.shards));
    }
    fixed_outputs.push_back({v, impl->output_arrays.back().raw()});
  }
  const int threads = options.pool ? options.pool->threads() : 1;
  impl->order = schedule(impl->outputs, options.shards, threads);
  impl->memory = plan_memory(impl->order, fixed_inputs, fixed_outputs, options.shards, threads);
  impl->allocate_memory();
  impl->bind();
  return Plan(impl);
}

std::vector<Array> evaluate(const Fn& f, const std::vector<Array>& inputs,
                            const CompileOptions& options) {
  std::vector<PlanInput> described;
  for (const auto& a : inputs) described.push_back({{a.dtype(), a.shape(), false}, "input", a});
  Plan plan = compile(f, described, options);
  plan.run();
  std::vector<Array> result;
  for (int i = 0; i < plan.outputs(); ++i) result.push_back(plan.output(i).clone());
  return result;
}

}  // namespace descent
