// Frames as an animated GIF, through giflib: one palette of 256 colours, and of each frame only the
// rectangle that changed.
#pragma once
#include <string>
#include <vector>

#include "descent/plot/canvas.h"

namespace descent::plot {

// Frames of one size; `hundredths` of a second each (the last one longer), repeated for ever.
std::string encode_gif(const std::vector<Pixels>& frames, int hundredths);

}  // namespace descent::plot
