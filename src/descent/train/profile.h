// The profile of a run as tables and as a time line: `descent train --profile`.
#pragma once
#include <string>

#include "descent/compile/plan.h"

namespace descent::train {

// What this machine can do, on one thread: the bounds that a kernel is held against.
struct MachinePeaks {
  double flops = 0;  // floating-point operations a second of a float32 product, [512, 512] squared
  double bytes = 0;  // bytes read and written a second by a copy of 64 MiB
};
MachinePeaks measure_peaks();

// Tables of layers and of kernels: time of a step, share, arithmetic and traffic with their share
// of the peaks, copies between layouts. The plan must have been compiled with
// CompileOptions::profile.
std::string profile_report(const Plan& plan, const MachinePeaks& peaks);

// The calls of the first steps in Chrome's trace format (chrome://tracing, ui.perfetto.dev).
std::string profile_trace(const Plan& plan);

}  // namespace descent::train
