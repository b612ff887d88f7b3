#include "descent/nn/decode.h"

#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

// [rows] or [rows, T] -> [rows, vocabulary], after the last token.
Value logits(const Layer& model, Scope& scope, const Value& tokens) {
  const auto rows = tokens.shape()[0], time = tokens.rank() == 2 ? tokens.shape()[1] : 1;
  const Value y = (*model)(scope, reshape(tokens, {rows, time}));
  if (y.rank() == 3 && y.shape()[0] == rows && y.shape()[1] == time) {
    return reshape(slice(y, 1, time - 1, time), {rows, y.shape()[2]});
  }
  throw Error(ErrorKind::usage,
              fmt::format("{} gives {} for its tokens, which is no language model",
                          model->describe(), to_string(y.type())),
              "decoder", "a language model maps tokens [N, T] to [N, T, vocabulary]");
}

}  // namespace

std::map<int, int> Decoder::donate() const {
  std::map<int, int> pairs;
  const auto first = static_cast<int>(variables.size());
  for (int i = 0; i < static_cast<int>(caches.size()); ++i) pairs[1 + i] = first + i;
  return pairs;
}

Decoder decoder(const Layer& model, const DecoderOptions& options) {
  if (options.rows < 1 || options.context < 1) {
    throw Error(
        ErrorKind::usage,
        fmt::format("rows {} and context {} must be at least 1", options.rows, options.context),
        "decoder");
  }
  Scope asked(options.dtype);
  asked.decode(input({DType::int64, {}}, "position"), options.context);
  logits(model, asked, input({DType::int64, {options.rows}}, "tokens"));
  Decoder made{asked.variables(), asked.caches(), {}};
  made.step = [model, options, variables = made.variables, caches = made.caches](ValueSpan in) {
    std::map<std::string, Value> bound, kept;
    std::size_t next = 0;
    for (const auto& v : variables) bound[v.name] = in[next++];
    for (const auto& v : caches) kept[v.name] = in[next++];
    Scope scope(std::move(bound), false, {}, options.dtype);
    scope.decode(in[next], options.context, std::move(kept));
    Values result{logits(model, scope, in[next + 1])};
    for (const auto& v : caches) result.push_back(scope.kept().at(v.name));
    return result;
  };
  return made;
}

}  // namespace descent::nn
