#include "descent/cli/interrupt.h"

#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "descent/train/trainer.h"

namespace descent::cli {
namespace {

volatile std::sig_atomic_t asked = 0;

// Only what is safe in a signal handler.
void say(std::string_view text) {
  const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  (void)written;
}

void handle(int signal) {
  const int code = errno;
  if (signal == SIGINT && asked != 0) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);  // delivered when the handler returns
    return;
  }
  asked = 1;
  train::request_stop(signal);
  if (signal == SIGINT) say("\nstopping after this step and saving; Ctrl-C again ends at once\n");
  errno = code;
}

}  // namespace

Interrupts::Interrupts() {
  asked = 0;
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before_int_);
  sigaction(SIGTERM, &action, &before_term_);
}

Interrupts::~Interrupts() {
  sigaction(SIGINT, &before_int_, nullptr);
  sigaction(SIGTERM, &before_term_, nullptr);
}

}  // namespace descent::cli
