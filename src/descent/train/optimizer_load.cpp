#include "descent/train/optimizer_load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "descent/base/error.h"
#include "descent/io/safetensors.h"

namespace descent::train {
namespace {

// What the slots of our rules (transforms/adam.cpp, sgd.cpp) are called in PyTorch.
struct Slot {
  const char *ours, *theirs;
};
constexpr std::array kSlots = {Slot{"adam.m.", "exp_avg"}, Slot{"adam.v.", "exp_avg_sq"},
                               Slot{"adam.v_max.", "max_exp_avg_sq"},
                               Slot{"trace.b.", "momentum_buffer"}};

io::TensorFile open(const std::string& path) {
  if (path.ends_with(".pt") || path.ends_with(".pth") || path.ends_with(".bin")) {
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is a pickle, which is not read", path),
                "option \"optimizer.load\"",
                "save it from Python as .safetensors: the option's help has the line");
  }
  return io::load_safetensors(path);
}

// "0.1.adam.m.encoder.weight" with the slot "adam.m." -> "encoder.weight": in front stand only the
// places in chains and partitions.
std::optional<std::string> parameter_of(const std::string& state, const Slot& slot) {
  std::size_t at = 0;
  while (at < state.size() && (state[at] == '.' || (state[at] >= '0' && state[at] <= '9'))) ++at;
  const std::string_view rest = std::string_view(state).substr(at);
  if (!rest.starts_with(slot.ours)) return {};
  return std::string(rest.substr(std::string_view(slot.ours).size()));
}

class Loader {
 public:
  Loader(const io::TensorFile& file, const std::vector<nn::Variable>& variables) {
    for (const auto& [name, array] : file.tensors) tensors_[name] = array;
    std::size_t index = 0;
    for (const auto& v : variables) {
      if (v.parameter()) index_[v.name] = index++;
    }
  }

  Array take(const std::string& parameter, const char* slot, const Array& like) {
    const auto found = find(parameter, slot);
    if (found == tensors_.end()) {
      missing_.push_back(
          fmt::format("{}.{} (state.{}.{})", parameter, slot, index_.at(parameter), slot));
      return like;
    }
    used_.insert(found->first);
    if (!(found->second.shape() == like.shape())) {
      differing_.push_back(fmt::format("{} is {}, {} is {}", found->first,
                                       to_string(found->second.shape()), parameter,
                                       to_string(like.shape())));
      return like;
    }
    return found->second.cast(like.dtype());
  }

  void fail_on_mismatch(const std::string& path) {
    std::vector<std::string> unexpected;
    for (const auto& [name, array] : tensors_) {
      if (!used_.contains(name) && !name.ends_with("step")) unexpected.push_back(name);
    }
    std::vector<std::string> parts;
    const std::pair<const char*, const std::vector<std::string>*> all[] = {
        {"not in the file", &missing_},
        {"not in the optimizer", &unexpected},
        {"of another shape", &differing_}};
    for (const auto& [what, names] : all) {
      if (!names->empty()) parts.push_back(fmt::format("{}: {}", what, fmt::join(*names, ", ")));
    }
    if (parts.empty()) return;
    throw Error(ErrorKind::data,
                fmt::format("the optimizer's state does not fit; {}", fmt::join(parts, "; ")), path,
                "use the optimizer and the options (momentum, amsgrad) it was saved with; where "
                "PyTorch's optimizer has groups, save the tensors by the parameters' names");
  }

 private:
  std::map<std::string, Array>::const_iterator find(const std::string& parameter,
                                                    const char* slot) const {
    const auto named = tensors_.find(fmt::format("{}.{}", parameter, slot));
    if (named != tensors_.end()) return named;
    return tensors_.find(fmt::format("state.{}.{}", index_.at(parameter), slot));
  }

  std::map<std::string, Array> tensors_;
  std::map<std::string, std::size_t> index_;
  std::set<std::string> used_;
  std::vector<std::string> missing_, differing_;
};

}  // namespace

std::int64_t first_step_of(const Config& config) {
  if (config.optimizer.has("load_step")) return config.optimizer.integer("load_step");
  const std::string& path = config.optimizer.text("load");
  std::optional<std::int64_t> step;
  std::string said;
  for (const auto& [name, array] : open(path).tensors) {
    if (!name.ends_with(".step") && name != "step") continue;
    const auto here = static_cast<std::int64_t>(array.cast(DType::float64).item(0));
    if (step && *step != here) {
      throw Error(ErrorKind::data,
                  fmt::format("{} is {}, {} is {}: one optimizer makes its updates together", said,
                              *step, name, here),
                  path, "say optimizer.load_step");
    }
    step = here, said = name;
  }
  if (step) return *step;
  throw Error(ErrorKind::usage, "the file has no \"step\"", path,
              "say how many updates were made: optimizer.load_step");
}

nn::Tree load_optimizer(const Config& config, const optim::Optimizer& optimizer,
                        const std::vector<nn::Variable>& variables, track::Sink& sink) {
  const std::string& path = config.optimizer.text("load");
  std::vector<optim::Parameter> info;
  for (const auto& v : variables) {
    if (v.trained) info.push_back({v.name, v.type, v.decay});
  }
  Loader loader(open(path), variables);
  nn::Tree tree;
  for (const auto& tensor : optimizer->state(info)) {
    Array value(tensor.type.dtype, tensor.type.shape);
    bool known = tensor.name.starts_with("lazy.");  // of sparse tables: all rows are up to date
    for (const auto& slot : kSlots) {
      const auto parameter = parameter_of(tensor.name, slot);
      if (!parameter) continue;
      known = true;
      value = loader.take(*parameter, slot.theirs, value);
    }
    if (!known) {
      throw Error(ErrorKind::usage,
                  fmt::format("PyTorch's state has nothing like \"{}\"", tensor.name),
                  "option \"optimizer.load\"", "it loads adam, adamw and sgd with momentum");
    }
    tree.emplace_back(tensor.name, std::move(value));
  }
  loader.fail_on_mismatch(path);
  sink.message(track::Level::note, "optimizer",
               fmt::format("{} tensors from {}, {} updates made before", tree.size(), path,
                           config.optimizer.integer("load_step")));
  return tree;
}

}  // namespace descent::train
