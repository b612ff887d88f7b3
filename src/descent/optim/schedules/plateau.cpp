// The same rate until the monitored metric stops getting better, then `factor` times it, as
// torch.optim.lr_scheduler.ReduceLROnPlateau. A function of the step cannot know the metric: this
// is the constant part, and the trainer multiplies it (train/plateau.h).
#include "descent/optim/rule.h"

namespace descent::optim {

void register_plateau(ScheduleRegistry& registry) {
  add_schedule(
      registry,
      {.name = "plateau",
       .help = "the rate times factor whenever the validation has not got better for some time; "
               "validations in the warm-up do not count",
       .options = {number_option("factor", 0.1, "of a reduction", 0, 1),
                   {.key = "patience",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{10},
                    .help = "validations without an improvement that are borne; the next one "
                            "reduces the rate",
                    .min = 0},
                   number_option("threshold", 1e-4, "smallest change that is an improvement"),
                   {.key = "threshold_mode",
                    .type = OptionType::text,
                    .fallback = std::string("rel"),
                    .help = "threshold as a part of the best value (rel), or as it is (abs)",
                    .choices = {"rel", "abs"}},
                   {.key = "cooldown",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{0},
                    .help = "validations after a reduction that are not counted",
                    .min = 0},
                   number_option("min_lr", 0, "the rate falls no lower"),
                   number_option("eps", 1e-8, "a smaller change of the rate is left out"),
                   {.key = "metric",
                    .type = OptionType::text,
                    .help = "metric of the validation; default: train.monitor"}},
       .make = [](const Options&, const RunLength& run) { return constant(run.lr); }});
}

}  // namespace descent::optim
