#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer around(const Optimizer& rule, const Around& pieces) {
  std::vector<Optimizer> links;
  if (pieces.clip_norm != 0) links.push_back(clip_by_global_norm(pieces.clip_norm));
  if (pieces.clip_percentile != 0) {
    links.push_back(clip_by_percentile(pieces.clip_percentile, pieces.clip_window));
  }
  if (pieces.clip_each != 0) links.push_back(clip_each(pieces.clip_each));
  if (pieces.clip_adaptive != 0) links.push_back(clip_adaptive(pieces.clip_adaptive));
  if (pieces.clip_value != 0) links.push_back(clip_by_value(pieces.clip_value));
  links.insert(links.end(), pieces.before_rule.begin(), pieces.before_rule.end());
  if (pieces.l1 != 0) links.push_back(l1_penalty(pieces.l1, pieces.decayed));
  if (pieces.l2 != 0) links.push_back(l2_penalty(pieces.l2, pieces.decayed));
  if (rule) links.push_back(rule);
  if (pieces.weight_decay != 0 && !pieces.whole) {
    links.push_back(decayed_weights(pieces.weight_decay, pieces.decayed));
  }
  if (!pieces.whole) links.push_back(scale_by_schedule(pieces.lr));
  if (pieces.after) links.push_back(pieces.after);
  return chain(std::move(links));
}

}  // namespace descent::optim
