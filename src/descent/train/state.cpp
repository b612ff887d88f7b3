#include "descent/train/state.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/base/file.h"

namespace descent::train {
namespace {

void add(io::TensorFile& file, const std::string& prefix, const nn::Tree& tree) {
  for (const auto& [name, array] : tree) file.tensors.emplace_back(prefix + name, array);
}

// The tree's arrays from the file, in the order and with the shapes of `like`.
nn::Tree take(const io::TensorFile& file, const std::string& prefix, const nn::Tree& like,
              const std::string& where) {
  nn::Tree tree;
  for (const auto& [name, array] : like) {
    const Array& found = file.at(prefix + name, where);
    if (found.dtype() != array.dtype() || !(found.shape() == array.shape())) {
      throw Error(
          ErrorKind::data,
          fmt::format("tensor \"{}\" is {}{}, the model wants {}{}", prefix + name,
                      name_of(found.dtype()), to_string(found.shape()), name_of(array.dtype()),
                      to_string(array.shape())),
          where, "the checkpoint belongs to another model: use the configuration it was made with");
    }
    tree.emplace_back(name, found);
  }
  return tree;
}

// JSON has no NaN; "no best yet" is null.
nlohmann::json number(double x) { return x == x ? nlohmann::json(x) : nlohmann::json(nullptr); }
double number(const nlohmann::json& j) {
  return j.is_null() ? std::numeric_limits<double>::quiet_NaN() : j.get<double>();
}

// Pairs, since their order counts.
nlohmann::json to_json(const Metrics& metrics) {
  auto list = nlohmann::json::array();
  for (const auto& [name, value] : metrics) list.push_back({name, number(value)});
  return list;
}
Metrics metrics(const nlohmann::json& list) {
  Metrics all;
  for (const auto& pair : list) all.emplace_back(pair.at(0).get<std::string>(), number(pair.at(1)));
  return all;
}

std::uint32_t checksum(const io::TensorFile& file, const std::string& state) {
  std::uint32_t crc = crc32(state);
  for (const auto& [name, array] : file.tensors) {
    crc = crc32(name, crc);
    crc = crc32({reinterpret_cast<const char*>(array.raw()), array.bytes()}, crc);
  }
  return crc;
}

}  // namespace

std::string encode(const TrainState& s) {
  io::TensorFile file;
  add(file, "parameters/", s.parameters);
  add(file, "buffers/", s.buffers);
  add(file, "optimizer/", s.optimizer);
  add(file, "best/parameters/", s.best_parameters);
  add(file, "best/buffers/", s.best_buffers);
  // Where the state itself is where a rollback leads, it is not written twice.
  const bool apart = s.good != nullptr && s.good->step != s.step;
  if (apart) {
    const std::string bytes = encode(*s.good);
    Array good(DType::uint8, {static_cast<std::int64_t>(bytes.size())});
    std::memcpy(good.raw(), bytes.data(), bytes.size());
    file.tensors.emplace_back("good", std::move(good));
  }
  const nlohmann::json state = {{"seed", s.seed},
                                {"step", s.step},
                                {"epoch", s.epoch},
                                {"batch", s.batch},
                                {"epoch_loss", s.epoch_loss},
                                {"epoch_rows", s.epoch_rows},
                                {"best", number(s.best)},
                                {"best_epoch", s.best_epoch},
                                {"stale", s.stale},
                                {"seconds", s.seconds},
                                {"train", to_json(s.train)},
                                {"valid", to_json(s.valid)},
                                {"best_valid", to_json(s.best_valid)},
                                {"has_best", !s.best_parameters.empty()},
                                {"plateau_factor", s.plateau_factor},
                                {"plateau_best", number(s.plateau_best)},
                                {"plateau_stale", s.plateau_stale},
                                {"plateau_cooldown", s.plateau_cooldown},
                                {"rate_factor", s.rate_factor},
                                {"rollbacks", s.rollbacks},
                                {"health", s.health},
                                {"good", s.good == nullptr ? ""
                                         : apart           ? "apart"
                                                           : "here"}};
  file.metadata["format"] = "descent checkpoint 1";
  file.metadata["state"] = state.dump();
  file.metadata["crc32"] = fmt::format("{:08x}", checksum(file, state.dump()));
  return io::encode(file);
}

TrainState decode(std::string_view bytes, const TrainState& like, const std::string& where) {
  io::TensorFile file = io::decode(bytes, where);
  const auto text = file.metadata.find("state");
  if (text == file.metadata.end()) {
    throw Error(ErrorKind::data, "not a checkpoint: its header has no \"state\"", where,
                "give the run directory of `descent train`");
  }
  // The checksum runs over the tensors in the order they were written.
  TrainState s;
  std::string good;
  try {
    const auto state = nlohmann::json::parse(text->second);
    s.seed = state.at("seed"), s.step = state.at("step"), s.epoch = state.at("epoch"),
    s.batch = state.at("batch");
    s.epoch_loss = state.at("epoch_loss"), s.epoch_rows = state.at("epoch_rows");
    s.best = number(state.at("best")), s.best_epoch = state.at("best_epoch"),
    s.stale = state.at("stale");
    s.seconds = state.at("seconds");
    s.train = metrics(state.at("train")), s.valid = metrics(state.at("valid")),
    s.best_valid = metrics(state.at("best_valid"));
    s.plateau_factor = state.value("plateau_factor", 1.0);
    s.plateau_best = number(state.value("plateau_best", nlohmann::json()));
    s.plateau_stale = state.value("plateau_stale", std::int64_t{0});
    s.plateau_cooldown = state.value("plateau_cooldown", std::int64_t{0});
    s.parameters = take(file, "parameters/", like.parameters, where);
    s.buffers = take(file, "buffers/", like.buffers, where);
    s.optimizer = take(file, "optimizer/", like.optimizer, where);
    if (state.at("has_best")) {
      s.best_parameters = take(file, "best/parameters/", like.parameters, where);
      s.best_buffers = take(file, "best/buffers/", like.buffers, where);
    }
    s.rate_factor = state.value("rate_factor", 1.0);
    s.rollbacks = state.value("rollbacks", std::int64_t{0});
    s.health = state.value("health", "");
    good = state.value("good", "");
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::data,
                fmt::format("the checkpoint's state cannot be read ({})", e.what()), where);
  }
  io::TensorFile again;
  add(again, "parameters/", s.parameters);
  add(again, "buffers/", s.buffers);
  add(again, "optimizer/", s.optimizer);
  add(again, "best/parameters/", s.best_parameters);
  add(again, "best/buffers/", s.best_buffers);
  if (good == "apart") again.tensors.emplace_back("good", file.at("good", where));
  if (file.metadata["crc32"] != fmt::format("{:08x}", checksum(again, text->second))) {
    throw Error(ErrorKind::data, "the checksum does not fit: the file is damaged", where,
                "an older checkpoint of the run will be used");
  }
  if (good == "here") s.good = snapshot(s);
  if (good == "apart") {
    const Array& kept = file.at("good", where);
    s.good = std::make_shared<const TrainState>(
        decode({reinterpret_cast<const char*>(kept.raw()), kept.bytes()}, like, where));
  }
  return s;
}

void copy_into(nn::Tree& to, const nn::Tree& from) {
  for (std::size_t i = 0; i < to.size(); ++i)
    std::memcpy(to[i].second.raw(), from.at(i).second.raw(), to[i].second.bytes());
}

nn::Tree clone(const nn::Tree& tree) {
  nn::Tree copy;
  for (const auto& [name, array] : tree) copy.emplace_back(name, array.clone());
  return copy;
}

std::shared_ptr<const TrainState> snapshot(const TrainState& state) {
  auto copy = std::make_shared<TrainState>(state);
  copy->good = nullptr;
  for (auto* tree : {&copy->parameters, &copy->buffers, &copy->optimizer, &copy->best_parameters,
                     &copy->best_buffers})
    *tree = clone(*tree);
  return copy;
}

void go_back(TrainState& state, const TrainState& to) {
  TrainState old = state;
  state = to;
  state.good = std::move(old.good);
  state.seconds = old.seconds;
  state.rate_factor = old.rate_factor;
  state.rollbacks = old.rollbacks;
  // Plans are bound to the arrays of before.
  state.parameters = std::move(old.parameters);
  state.buffers = std::move(old.buffers);
  state.optimizer = std::move(old.optimizer);
  copy_into(state.parameters, to.parameters);
  copy_into(state.buffers, to.buffers);
  copy_into(state.optimizer, to.optimizer);
}

}  // namespace descent::train
