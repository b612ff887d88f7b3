// What this machine can do at best, the floors of the workloads: one line of JSON a figure, the
// best of several tries. Bandwidth in GB/s as the program sees it (a write does not count as a
// read): "copy" 8 bytes an element, "update" a += q b 12, "sgd" 20, "adam" 28. Products and
// multiply-adds in GFLOP/s, each thread with its own, as shards have.
//   machine --threads N
#include <algorithm>
#include <numeric>

#include "bench/workload.h"
#include "descent/base/threads.h"
#include "descent/kernels/onednn.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/machine.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace descent::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// n is a multiple of every vector's length in all of these.
void Copy(float** a, std::size_t n) {
  for (std::size_t i = 0; i < n; i += hn::Lanes(D()))
    hn::Store(hn::Load(D(), a[1] + i), D(), a[0] + i);
}
void Update(float** a, std::size_t n) {
  const V q = hn::Set(D(), 0.5f);
  for (std::size_t i = 0; i < n; i += hn::Lanes(D()))
    hn::Store(hn::MulAdd(q, hn::Load(D(), a[1] + i), hn::Load(D(), a[0] + i)), D(), a[0] + i);
}
void Sgd(float** a, std::size_t n) {
  const V keep = hn::Set(D(), 0.9f), rate = hn::Set(D(), -0.01f);
  for (std::size_t i = 0; i < n; i += hn::Lanes(D())) {
    const V m = hn::MulAdd(keep, hn::Load(D(), a[2] + i), hn::Load(D(), a[1] + i));
    hn::Store(m, D(), a[2] + i);
    hn::Store(hn::MulAdd(rate, m, hn::Load(D(), a[0] + i)), D(), a[0] + i);
  }
}
void Adam(float** a, std::size_t n) {
  const V b1 = hn::Set(D(), 0.9f), c1 = hn::Set(D(), 0.1f), b2 = hn::Set(D(), 0.999f),
          c2 = hn::Set(D(), 0.001f), eps = hn::Set(D(), 1e-8f), rate = hn::Set(D(), -1e-3f);
  for (std::size_t i = 0; i < n; i += hn::Lanes(D())) {
    const V g = hn::Load(D(), a[1] + i);
    const V m = hn::MulAdd(b1, hn::Load(D(), a[2] + i), hn::Mul(c1, g));
    const V v = hn::MulAdd(b2, hn::Load(D(), a[3] + i), hn::Mul(c2, hn::Mul(g, g)));
    hn::Store(m, D(), a[2] + i);
    hn::Store(v, D(), a[3] + i);
    const V step = hn::Div(hn::Mul(rate, m), hn::Add(hn::Sqrt(v), eps));
    hn::Store(hn::Add(hn::Load(D(), a[0] + i), step), D(), a[0] + i);
  }
}
// 12 chains of `rounds` multiply-adds in registers, from the 12 numbers at `start` (different ones,
// or the compiler would compute one chain alone); their number.
double Fma(float* start, int rounds) {
  const D d;
  const V q = hn::Set(d, 0.999f), s = hn::Set(d, 1e-3f);
  const auto chain = [&](int k) { return hn::Set(d, start[k]); };
  V x0 = chain(0), x1 = chain(1), x2 = chain(2), x3 = chain(3), x4 = chain(4), x5 = chain(5);
  V x6 = chain(6), x7 = chain(7), x8 = chain(8), x9 = chain(9), xa = chain(10), xb = chain(11);
  for (int i = 0; i < rounds; ++i) {
    x0 = hn::MulAdd(x0, q, s), x1 = hn::MulAdd(x1, q, s), x2 = hn::MulAdd(x2, q, s);
    x3 = hn::MulAdd(x3, q, s), x4 = hn::MulAdd(x4, q, s), x5 = hn::MulAdd(x5, q, s);
    x6 = hn::MulAdd(x6, q, s), x7 = hn::MulAdd(x7, q, s), x8 = hn::MulAdd(x8, q, s);
    x9 = hn::MulAdd(x9, q, s), xa = hn::MulAdd(xa, q, s), xb = hn::MulAdd(xb, q, s);
  }
  for (const V x : {x1, x2, x3, x4, x5, x6, x7, x8, x9, xa, xb}) x0 = hn::Add(x0, x);
  hn::Store(x0, d, start);
  return 12.0 * rounds * static_cast<double>(hn::Lanes(d));
}

}  // namespace descent::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::bench {
namespace {

HWY_EXPORT(Copy);
HWY_EXPORT(Update);
HWY_EXPORT(Sgd);
HWY_EXPORT(Adam);
HWY_EXPORT(Fma);

// amount: bytes or operations of one call of f on all threads.
void tell(ThreadPool& pool, const std::string& name, const char* unit, double amount,
          const std::function<void(int)>& f) {
  pool.run(f);
  double best = 1e30;
  for (int r = 0; r < 15; ++r) {
    const double start = now();
    pool.run(f);
    best = std::min(best, now() - start);
  }
  fmt::print("{{\"machine\": \"{}\", \"threads\": {}, \"unit\": \"{}\", \"best\": {:.1f}}}\n", name,
             pool.threads(), unit, amount / best * 1e-9);
  std::fflush(stdout);
}

void bandwidth(ThreadPool& pool) {
  const std::size_t n = std::size_t{32} << 20;  // an array: 128 MiB, far beyond any cache
  std::vector<Array> arrays;
  for (int i = 0; i < 4; ++i)
    arrays.emplace_back(DType::float32, Shape{static_cast<std::int64_t>(n)});
  const auto each = [&](const std::string& name, double bytes, void (*f)(float**, std::size_t)) {
    const std::size_t part = n / static_cast<std::size_t>(pool.threads()) / 64 * 64;
    tell(pool, name, "GB/s", bytes * static_cast<double>(part) * pool.threads(), [&](int thread) {
      float* a[4];
      for (std::size_t i = 0; i < 4; ++i)
        a[i] = arrays[i].as<float>().data() + static_cast<std::size_t>(thread) * part;
      f(a, part);
    });
  };
  each("copy", 8, [](float** a, std::size_t count) { HWY_DYNAMIC_DISPATCH(Copy)(a, count); });
  each("update", 12, [](float** a, std::size_t count) { HWY_DYNAMIC_DISPATCH(Update)(a, count); });
  each("sgd", 20, [](float** a, std::size_t count) { HWY_DYNAMIC_DISPATCH(Sgd)(a, count); });
  each("adam", 28, [](float** a, std::size_t count) { HWY_DYNAMIC_DISPATCH(Adam)(a, count); });
}

void multiply_adds(ThreadPool& pool) {
  std::vector<Array> starts;
  for (int t = 0; t < pool.threads(); ++t) starts.push_back(uniform(1, {64}, 1.0f));
  constexpr int kRounds = 1'000'000;
  const double count = HWY_DYNAMIC_DISPATCH(Fma)(starts[0].as<float>().data(), kRounds);
  tell(pool, "fma float32", "GFLOP/s", 2 * count * pool.threads(), [&](int thread) {
    HWY_DYNAMIC_DISPATCH(Fma)(starts[static_cast<std::size_t>(thread)].as<float>().data(), kRounds);
  });
}

// c = a b, oneDNN's best kernel with b in the layout that it likes best.
std::function<void()> product(DType type, std::int64_t m, std::int64_t k, std::int64_t n) {
  namespace dnn = kernels::onednn;
  const auto in = dnn::data_type(type);
  const dnn::Desc a({m, k}, in, dnn::Tag::ab), b({k, n}, in, dnn::Tag::any),
      c({m, n}, dnn::data_type(DType::float32), dnn::Tag::ab);
  const dnn::OneThread one;
  const auto plan = dnn::matmul(a, b, c);
  const auto memory = [](const dnn::Desc& desc) { return allocate(desc.get_size()); };
  // Zeros are as fast as other numbers.
  const auto pa = memory(a), pb = memory(plan.weights_desc()), pc = memory(c),
             scratch = memory(plan.scratchpad_desc());
  const auto call =
      dnn::held(dnnl::matmul(plan), {{DNNL_ARG_SRC, a, pa.get()},
                                     {DNNL_ARG_WEIGHTS, plan.weights_desc(), pb.get()},
                                     {DNNL_ARG_DST, c, pc.get()},
                                     {DNNL_ARG_SCRATCHPAD, plan.scratchpad_desc(), scratch.get()}});
  return [=] { (void)pa, (void)pb, (void)pc, (void)scratch, call(); };
}

void products(ThreadPool& pool) {
  struct Size {
    std::int64_t m, k, n;
  };
  for (const DType type : {DType::float32, DType::bfloat16}) {
    for (const auto [m, k, n] :
         {Size{128, 784, 512}, Size{256, 256, 256}, Size{1024, 1024, 1024}}) {
      std::vector<std::function<void()>> own;
      try {
        for (int t = 0; t < pool.threads(); ++t) own.push_back(product(type, m, k, n));
      } catch (const dnnl::error&) {
        continue;  // no bfloat16 on this processor
      }
      const double flops = 2.0 * static_cast<double>(m * k * n);
      const int often = std::max(1, static_cast<int>(1e9 / flops));
      tell(pool, fmt::format("product {} {}x{}x{}", name_of(type), m, k, n), "GFLOP/s",
           flops * often * pool.threads(), [&](int thread) {
             for (int i = 0; i < often; ++i) own[static_cast<std::size_t>(thread)]();
           });
    }
  }
}

}  // namespace
}  // namespace descent::bench

int main(int argc, char** argv) {
  using namespace descent;
  const auto arguments = bench::parse(argc, argv);
  ThreadPool pool(arguments.threads);
  prepare_thread();
  const auto* version = dnnl_version();
  fmt::print("{{\"machine\": \"oneDNN\", \"version\": \"{}.{}.{}\", \"compiler\": \"{}\"}}\n",
             version->major, version->minor, version->patch, __VERSION__);
  bench::bandwidth(pool);
  bench::multiply_adds(pool);
  bench::products(pool);
}
#endif
