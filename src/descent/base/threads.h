// A pool of threads that work in step: run(f) calls f(0) .. f(n-1), one per thread, and returns
// when all are done; meet() is a barrier inside. Waiting spins for a moment (steps follow each
// other within microseconds), then sleeps. Every thread flushes subnormals to zero, and keeps
// OpenMP (oneDNN's threads) to itself, so that what a thread computes never depends on how many
// there are.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace descent {

// Sets flush-to-zero and denormals-are-zero, and one OpenMP thread, for the calling thread.
void prepare_thread();

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Calls f(thread) on every thread, the caller being thread 0. f must not throw and must not
  // allocate where the caller counts on that; nothing here does.
  void run(const std::function<void(int)>& f);
  // Barrier of all threads inside run().
  void meet();

 private:
  void work(int thread);
  int threads_;
  std::vector<std::thread> workers_;
  const std::function<void(int)>* task_ = nullptr;
  std::atomic<std::uint32_t> generation_{0}, finished_{0}, arrived_{0}, phase_{0};
  std::atomic<bool> stop_{false};
};

// Number of processors this process may use.
int processors();

}  // namespace descent
