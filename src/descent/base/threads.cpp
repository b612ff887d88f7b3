#include "descent/base/threads.h"

#include <omp.h>
#include <sched.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace descent {
namespace {

// Waits until value != old: spins first, since a step is often shorter than a sleep.
void wait_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < 4000; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
    _mm_pause();
#endif
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

void prepare_thread() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ | DAZ
#elif defined(__aarch64__)
  std::uint64_t fpcr;
  asm volatile("mrs %0, fpcr" : "=r"(fpcr));
  asm volatile("msr fpcr, %0" : : "r"(fpcr | (std::uint64_t{1} << 24)));
#endif
  omp_set_num_threads(1);
}

ThreadPool::ThreadPool(int threads) : threads_(threads < 1 ? 1 : threads) {
  for (int t = 1; t < threads_; ++t) {
    workers_.emplace_back([this, t] { work(t); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::work(int thread) {
  prepare_thread();
  std::uint32_t seen = 0;
  for (;;) {
    wait_change(generation_, seen);
    ++seen;
    if (stop_.load(std::memory_order_acquire)) return;
    (*task_)(thread);
    finished_.fetch_add(1, std::memory_order_acq_rel);
    finished_.notify_one();
  }
}

void ThreadPool::run(const std::function<void(int)>& f) {
  task_ = &f;
  finished_.store(0, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  f(0);
  for (;;) {
    const auto done = finished_.load(std::memory_order_acquire);
    if (done == static_cast<std::uint32_t>(threads_ - 1)) return;
    wait_change(finished_, done);
  }
}

void ThreadPool::meet() {
  if (threads_ == 1) return;
  const auto phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 ==
      static_cast<std::uint32_t>(threads_)) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
  } else {
    wait_change(phase_, phase);
  }
}

int processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace descent
