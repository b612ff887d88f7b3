// SIGINT (Ctrl-C) and SIGTERM during training: the first asks the run to save and stop, a second
// SIGINT ends the program at once.
#pragma once
#include <csignal>

namespace descent::cli {

// Catches the signals as long as it lives. One at a time.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  struct sigaction before_int_ {
  }, before_term_{};
};

}  // namespace descent::cli
