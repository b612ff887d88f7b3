#include "descent/base/error.h"
#include "descent/optim/rule.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

std::vector<Option> wrapper_options() {
  return {
      number_option(
          "sam", 0,
          "sharpness-aware minimisation: the gradient at distance sam uphill (Foret et al. "
          "2021: 0.05), at twice the cost; 0: off"),
      boolean_option("sam_adaptive",
                     "distance in units of the weights (Kwon et al. 2021: sam = 0.5 to 2)"),
      boolean_option("centralize",
                     "take its mean from the gradient of each output's weights (Yong et al. 2020)"),
      number_option("gradient_noise", 0,
                    "eta: normal noise of variance eta / (1 + step)^gamma is added to the gradient "
                    "after clipping (Neelakantan et al. 2015: 0.01 to 1); 0: off"),
      number_option("gradient_noise_gamma", 0.55, "how fast the noise fades"),
      {.key = "lookahead_steps",
       .type = OptionType::integer,
       .fallback = std::int64_t{0},
       .help = "Lookahead: every so many steps back to slow weights (Zhang et al. 2019: 5), which "
               "are validated and saved; 0: off",
       .min = 0},
      number_option("lookahead_alpha", 0.5, "part of the way that the slow weights follow", 0, 1),
      number_option(
          "ema_decay", 0,
          "validate, test and save a moving average of the weights with this decay (0.999 "
          "averages about 1000 steps); 0: off",
          0, 1),
      {.key = "swa_start",
       .type = OptionType::integer,
       .help = "validate, test and save the mean of the weights from this step on (stochastic "
               "weight averaging, Izmailov et al. 2018); default: off",
       .min = 0},
      {.key = "swa_every",
       .type = OptionType::integer,
       .fallback = std::int64_t{1},
       .help = "steps from one of the averaged weights to the next",
       .min = 1},
  };
}

Optimizer sharpness_from(const Options& o) {
  if (o.number("sam") == 0) return nullptr;
  return sharpness_aware({.rho = o.number("sam"), .adaptive = o.boolean("sam_adaptive")});
}

std::vector<Optimizer> before_rule_from(const Options& o) {
  std::vector<Optimizer> links;
  if (o.boolean("centralize")) links.push_back(centralize());
  const double eta = o.number("gradient_noise");
  if (eta != 0) links.push_back(gradient_noise(eta, o.number("gradient_noise_gamma")));
  return links;
}

std::vector<Optimizer> after_rate_from(const Options& o) {
  std::vector<Optimizer> links;
  const auto steps = o.integer("lookahead_steps");
  if (steps != 0) {
    links.push_back(lookahead({.steps = steps, .alpha = o.number("lookahead_alpha")}));
  }
  const double decay = o.number("ema_decay");
  if (decay != 0 && o.has("swa_start")) {
    throw Error(ErrorKind::usage, "ema_decay and swa_start are both set, one average can be saved",
                "[optimizer]", "leave one of them out");
  }
  if (decay != 0) links.push_back(average_weights_ema(decay));
  if (o.has("swa_start")) {
    links.push_back(
        average_weights_swa({.start = o.integer("swa_start"), .every = o.integer("swa_every")}));
  }
  return links;
}

Options without_sharpness(Options options) {
  options.set("sam", 0.0);
  return options;
}

}  // namespace descent::optim
