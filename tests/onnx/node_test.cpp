// All node tests of ONNX that say something about what we have. Each is a model of one node with
// inputs and outputs; the table maps its operator to ours. What the table leaves out is counted
// and told, and as many cases as below must have been compared.
#include "tests/onnx/node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "descent/base/error.h"
#include "descent/compile/plan.h"
#include "descent/nn/registry.h"

namespace descent::onnx_test {
namespace {

namespace fs = std::filesystem;

std::string data_folder() {
  const char* set = std::getenv("ONNX_TEST_DATA");
  return set != nullptr ? set : "/usr/share/libonnx-testdata/data/node";
}

template <class Message>
Message parsed(const fs::path& path) {
  Message message;
  std::ifstream in(path, std::ios::binary);
  if (!message.ParseFromIstream(&in)) throw std::runtime_error("cannot parse " + path.string());
  return message;
}

template <class T, class Field>
Array array_from(const onnx::TensorProto& tensor, const Shape& shape, const Field& field) {
  Array a(dtype_of<T>, shape);
  if (!tensor.raw_data().empty()) {
    if (tensor.raw_data().size() != a.bytes()) throw std::runtime_error("raw data of another size");
    std::memcpy(a.raw(), tensor.raw_data().data(), a.bytes());
  } else {
    if (field.size() != a.size()) throw Uncovered{"no tensor"};  // a sequence, an optional value
    for (int i = 0; i < static_cast<int>(a.size()); ++i)
      a.as<T>()[static_cast<std::size_t>(i)] = static_cast<T>(field.Get(i));
  }
  return a;
}

Array array_of(const onnx::TensorProto& t) {
  const Shape shape(std::vector<std::int64_t>(t.dims().begin(), t.dims().end()));
  switch (t.data_type()) {
    case onnx::TensorProto::FLOAT:
      return array_from<float>(t, shape, t.float_data());
    case onnx::TensorProto::DOUBLE:
      return array_from<double>(t, shape, t.double_data());
    case onnx::TensorProto::INT32:
      return array_from<std::int32_t>(t, shape, t.int32_data());
    case onnx::TensorProto::INT64:
      return array_from<std::int64_t>(t, shape, t.int64_data());
    case onnx::TensorProto::BOOL:
      return array_from<bool>(t, shape, t.int32_data());
    default:
      throw Uncovered{"type " + onnx::TensorProto::DataType_Name(
                                    static_cast<onnx::TensorProto::DataType>(t.data_type()))};
  }
}

Array file(const fs::path& folder, const char* kind, int i) {
  const auto path = folder / (std::string(kind) + "_" + std::to_string(i) + ".pb");
  return array_of(parsed<onnx::TensorProto>(path));
}

const Table& table() {
  static const Table all = [] {
    Table t;
    for (auto add : {add_elementwise, add_reductions, add_shapes, add_layers, add_images,
                     add_losses, add_optimizers})
      add(t);
    return t;
  }();
  return all;
}

// Both are float32 results of a few operations; sums of some hundred products.
void expect_near(const Array& got, const Array& want, const std::string& where) {
  ASSERT_EQ(got.dtype(), want.dtype()) << where;
  ASSERT_EQ(got.shape(), want.shape()) << where;
  for (std::int64_t i = 0; i < want.size(); ++i) {
    const double a = got.item(i), b = want.item(i);
    const bool near = a == b || (std::isnan(a) && std::isnan(b)) ||
                      std::abs(a - b) <= 1e-5 * std::max(1.0, std::abs(b));
    ASSERT_TRUE(near) << where << ", element " << i << ": " << a << ", expected " << b;
  }
}

template <class Names>
int position(const Names& values, const std::string& name) {
  for (int i = 0; i < values.size(); ++i) {
    if (values.Get(i).name() == name) return i;
  }
  return -1;
}

// The node's inputs, and which of them are given to the plan: -1 for one that is left out, or an
// empty list of axes.
std::vector<Array> inputs_of(const onnx::GraphProto& graph, const fs::path& folder, Node& node,
                             std::vector<int>& place) {
  std::vector<Array> given;
  for (const auto& name : node.proto.input()) {
    const int at = name.empty() ? -1 : position(graph.input(), name);
    if (!name.empty() && at < 0) throw Uncovered{"an input that is no tensor of the model"};
    node.arrays.push_back(at < 0 ? Array() : file(folder, "input", at));
    const bool empty = at < 0 || node.arrays.back().size() == 0;
    if (empty && place.empty()) throw Uncovered{"an empty tensor"};
    place.push_back(empty ? -1 : static_cast<int>(given.size()));
    if (!empty) given.push_back(node.arrays.back());
  }
  return given;
}

// One set of inputs and outputs through our operation, compiled as a training step is.
void check_set(const onnx::GraphProto& graph, const fs::path& folder) {
  const auto& proto = graph.node(0);
  Node node{proto, {}, {}};
  std::vector<int> place;
  const auto given = inputs_of(graph, folder, node, place);
  const auto got = evaluate(
      [&](ValueSpan in) {
        node.values.clear();
        for (const int p : place)
          node.values.push_back(p < 0 ? Value() : in[static_cast<std::size_t>(p)]);
        return table().at(proto.op_type())(node);
      },
      given);
  int compared = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto& name = proto.output(static_cast<int>(i));
    const int at = name.empty() ? -1 : position(graph.output(), name);
    if (at < 0) continue;
    expect_near(got[i], file(folder, "output", at), name);
    ++compared;
  }
  EXPECT_GE(compared, 1);
}

struct Count {
  int passed = 0;
  std::map<std::string, int> left_out;  // by reason
};

void check_case(const fs::path& folder, std::map<std::string, Count>& counts) {
  const auto model = parsed<onnx::ModelProto>(folder / "model.onnx");
  if (model.graph().node_size() != 1) {
    ++counts["(models of several nodes)"].left_out["several nodes"];
    return;
  }
  auto& count = counts[model.graph().node(0).op_type()];
  try {
    if (!table().contains(model.graph().node(0).op_type())) throw Uncovered{"no operation"};
    int sets = 0;
    for (; fs::exists(folder / ("test_data_set_" + std::to_string(sets))); ++sets)
      check_set(model.graph(), folder / ("test_data_set_" + std::to_string(sets)));
    EXPECT_GE(sets, 1);
    ++count.passed;
  } catch (const Uncovered& reason) {
    ++count.left_out[reason.reason];
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
  }
}

void tell(const std::map<std::string, Count>& counts) {
  int passed = 0, left = 0, unknown = 0;
  std::string others;
  for (const auto& [op, count] : counts) {
    passed += count.passed;
    std::string line;
    for (const auto& [reason, n] : count.left_out) {
      left += n;
      if (reason == "no operation") {
        unknown += n;
        others += " " + op;
      } else {
        line += "; " + std::to_string(n) + " left out: " + reason;
      }
    }
    if (count.passed > 0 || !line.empty())
      std::printf("%-28s %3d compared%s\n", op.c_str(), count.passed, line.c_str());
  }
  std::printf("%d cases compared, %d left out; %d of them of operators not in the table:%s\n",
              passed, left, unknown, others.c_str());
}

// By operator: as many as ONNX 1.12 has and we cover; a later one has more.
const std::map<std::string, int>& at_least() {
  static const std::map<std::string, int> all = {{"Conv", 6},
                                                 {"ConvTranspose", 9},
                                                 {"MaxPool", 12},
                                                 {"AveragePool", 12},
                                                 {"GlobalAveragePool", 2},
                                                 {"GlobalMaxPool", 2},
                                                 {"BatchNormalization", 4},
                                                 {"LayerNormalization", 19},
                                                 {"Softmax", 7},
                                                 {"LogSoftmax", 7},
                                                 {"SoftmaxCrossEntropyLoss", 34},
                                                 {"NegativeLogLikelihoodLoss", 18},
                                                 {"Gemm", 11},
                                                 {"MatMul", 3},
                                                 {"Relu", 1},
                                                 {"LeakyRelu", 3},
                                                 {"Erf", 1},
                                                 {"Tanh", 2},
                                                 {"Sigmoid", 2},
                                                 {"Softplus", 2},
                                                 {"Exp", 2},
                                                 {"Log", 2},
                                                 {"Sqrt", 2},
                                                 {"Abs", 1},
                                                 {"Sign", 1},
                                                 {"Round", 1},
                                                 {"Sin", 2},
                                                 {"Cos", 2},
                                                 {"Asin", 2},
                                                 {"Acos", 2},
                                                 {"Atan", 2},
                                                 {"Sinh", 2},
                                                 {"Cosh", 2},
                                                 {"Add", 2},
                                                 {"Sub", 3},
                                                 {"Mul", 3},
                                                 {"Div", 3},
                                                 {"Pow", 3},
                                                 {"Max", 7},
                                                 {"Min", 7},
                                                 {"Sum", 3},
                                                 {"Mean", 3},
                                                 {"Clip", 8},
                                                 {"Where", 2},
                                                 {"PRelu", 2},
                                                 {"Less", 2},
                                                 {"Greater", 2},
                                                 {"LessOrEqual", 2},
                                                 {"GreaterOrEqual", 2},
                                                 {"Equal", 2},
                                                 {"ReduceSum", 8},
                                                 {"ReduceMean", 8},
                                                 {"ReduceMax", 8},
                                                 {"ReduceMin", 8},
                                                 {"ReduceL1", 8},
                                                 {"ReduceL2", 8},
                                                 {"ReduceSumSquare", 8},
                                                 {"ReduceLogSum", 5},
                                                 {"ReduceLogSumExp", 8},
                                                 {"ArgMax", 8},
                                                 {"Concat", 12},
                                                 {"Slice", 6},
                                                 {"Pad", 1},
                                                 {"Transpose", 7},
                                                 {"Reshape", 9},
                                                 {"Flatten", 9},
                                                 {"Squeeze", 2},
                                                 {"Unsqueeze", 6},
                                                 {"Expand", 2},
                                                 {"Gather", 4},
                                                 {"Split", 6},
                                                 {"Adam", 2},
                                                 {"Adagrad", 2},
                                                 {"Momentum", 3}};
  return all;
}

// Layers that other builds may lack: these must be compared where they are registered.
const std::map<std::string, std::pair<std::string, int>>& at_least_with_layer() {
  static const std::map<std::string, std::pair<std::string, int>> all = {
      {"InstanceNormalization", {"instance_norm", 2}},
      {"LSTM", {"lstm", 3}},
      {"RNN", {"rnn", 3}},
      {"GRU", {"gru", 4}}};
  return all;
}

TEST(OnnxNodes, AreComputedAsTheReferenceDoes) {
  const fs::path folder = data_folder();
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder.string() << ": install libonnx-testdata";
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(folder)) cases.push_back(entry.path());
  std::ranges::sort(cases);
  std::map<std::string, Count> counts;
  for (const auto& path : cases) {
    SCOPED_TRACE(path.filename().string());
    check_case(path, counts);
  }
  tell(counts);
  for (const auto& [op, n] : at_least()) EXPECT_GE(counts[op].passed, n) << op;
  for (const auto& [op, need] : at_least_with_layer()) {
    if (nn::layers().find(need.first) != nullptr) {
      EXPECT_GE(counts[op].passed, need.second) << op;
    }
  }
}

}  // namespace
}  // namespace descent::onnx_test
