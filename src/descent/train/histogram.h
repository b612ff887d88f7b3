// How the values of parameters are spread, for a report.
#pragma once
#include <nlohmann/json.hpp>

#include "descent/nn/module.h"

namespace descent::train {

// One object for each array of floating-point numbers, as track::Sink::show("histograms") takes
// them: counts of 40 equal ranges from the lowest to the highest value, mean and deviation. Of
// large arrays every n-th value counts, some 50,000 of them, so that it costs next to nothing.
nlohmann::json histograms(const nn::Tree& parameters);

}  // namespace descent::train
