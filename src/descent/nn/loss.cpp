#include "descent/nn/loss.h"

#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

void check_weight(const Value& weight, const Value& rows) {
  if (weight.type() == rows.type()) return;
  throw Error(ErrorKind::usage,
              fmt::format("weights are {} where the rows' losses are {}", to_string(weight.type()),
                          to_string(rows.type())),
              {}, "give one weight a row, of the prediction's type");
}

}  // namespace

Value weighted_mean(const Value& rows, const Value& weight) {
  if (!weight) return batch_mean(rows);
  const Value total = batch_sum(weight);
  const Value none = equal_mask(total, zeros_like(total));
  return batch_sum(weight * rows) / (total + none);
}

Value Loss::operator()(const Value& prediction, const Value& target, const Value& weight) const {
  const NameScope scope("loss");
  try {
    const Value each = rows(prediction, target);
    if (weight) check_weight(weight, each);
    const Value by_class = row_weights ? row_weights(target, each.dtype()) : Value();
    if (!by_class) return weighted_mean(each, weight);
    return weighted_mean(each, weight ? weight * by_class : by_class);
  } catch (const Error& error) {
    throw Error(error.kind(), error.message(), "loss " + name, error.remedy());
  }
}

}  // namespace descent::nn
