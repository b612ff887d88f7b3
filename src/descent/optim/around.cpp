#include "descent/optim/rule.h"

namespace descent::optim {

Optimizer around(const Optimizer& rule, const Around& pieces) {
  std::vector<Optimizer> links;
  if (pieces.clip_norm != 0) links.push_back(clip_by_global_norm(pieces.clip_norm));
  if (pieces.clip_value != 0) links.push_back(clip_by_value(pieces.clip_value));
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
